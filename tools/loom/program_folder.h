/* SPDX-License-Identifier: Apache-2.0 */
/* Where Loom is installed, found from where this program lies. */
#ifndef LOOM_TOOLS_PROGRAM_FOLDER_H
#define LOOM_TOOLS_PROGRAM_FOLDER_H

/* The folder of this program, such as /usr/bin; on the heap. NULL: not known, or no memory. */
char *program_folder(void);
/* share/loom beside that folder, or what LOOM_LIBRARIES_DIR names; on the heap. NULL: it is not there. */
char *program_share(void);

#endif
