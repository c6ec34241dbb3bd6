// SPDX-License-Identifier: Apache-2.0
// The theme that the reader has chosen, before anything is drawn: no module, so it runs at once.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
