# SPDX-License-Identifier: Apache-2.0
# Puts the install script at the top of the tarball. Run by cpack when everything else is in place.
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/../../contrib/tarball/install.sh" DESTINATION "${CMAKE_INSTALL_PREFIX}"
  USE_SOURCE_PERMISSIONS)
