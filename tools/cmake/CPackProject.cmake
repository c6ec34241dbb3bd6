# SPDX-License-Identifier: Apache-2.0
# Read by cpack for each generator: the tarball is one for all parts, with a script that installs it anywhere.
if(CPACK_GENERATOR STREQUAL "TGZ")
  set(CPACK_MONOLITHIC_INSTALL ON)
  set(CPACK_SET_DESTDIR OFF)
  set(CPACK_PACKAGING_INSTALL_PREFIX "")
  set(CPACK_INSTALL_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/tarball.cmake")
endif()
