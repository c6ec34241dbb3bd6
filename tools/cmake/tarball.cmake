# SPDX-License-Identifier: Apache-2.0
# Puts the install script at the top of the tarball. Run by cpack when everything else is in place.
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/../../contrib/tarball/install.sh" DESTINATION "${CMAKE_INSTALL_PREFIX}"
  PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE) # a checkout's are its umask's
