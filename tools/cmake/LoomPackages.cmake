# SPDX-License-Identifier: Apache-2.0
# What cpack makes: the Debian packages loom, libloom0, libloom-dev and loom-doc, and a tarball with an install script. And two
# targets beside it: installables, all that an install needs, and uninstall, which takes it away again.

# ---- all that is installed, built first: after tools/demo.sh, which builds a part, there is still something to do ----
get_property(programs GLOBAL PROPERTY LOOM_PROGRAMS)
add_custom_target(installables DEPENDS loom loom-schema loom_static_archive ${programs} ${LOOM_MAN_TARGETS})
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" --build \"${PROJECT_BINARY_DIR}\" --target installables
  OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR \"cannot build what is to be installed:\\n\${said}\")
endif()" ALL_COMPONENTS)

add_custom_target(uninstall COMMAND "${CMAKE_COMMAND}" "-DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt"
  -P "${PROJECT_SOURCE_DIR}/tools/cmake/uninstall.cmake" COMMENT "Removing what cmake --install has installed" VERBATIM)

# ---- documents ----
set(LOOM_DOC_DIR ${CMAKE_INSTALL_DATADIR}/doc)
install(FILES README.md ARCHITECTURE.md envelope/WIRE.md DESTINATION ${LOOM_DOC_DIR}/loom-doc COMPONENT loom-doc)
install(DIRECTORY docs/ DESTINATION ${LOOM_DOC_DIR}/loom-doc COMPONENT loom-doc)
install(FILES docs/OPERATIONS.md DESTINATION ${LOOM_DOC_DIR}/loom COMPONENT loom)
install(FILES contrib/loom.toml DESTINATION ${LOOM_DOC_DIR}/loom/examples COMPONENT loom)

# ---- as Debian wants them: only with the prefix /usr ----
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  return()
endif()
find_program(GZIP gzip REQUIRED)
find_package(Python3 COMPONENTS Interpreter REQUIRED)
set(debian "${PROJECT_BINARY_DIR}/debian")
set(LOOM_DEBIAN_VERSION "${PROJECT_VERSION}-1")
set(LOOM_MAINTAINER "Loom developers <loom@example.net>" CACHE STRING "Maintainer of the packages, with an address")
string(TIMESTAMP LOOM_DEBIAN_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, which tools/package.sh sets
configure_file(contrib/debian/copyright ${debian}/copyright COPYONLY)
foreach(package loom libloom0 libloom-dev loom-doc)
  set(LOOM_PACKAGE ${package})
  configure_file(contrib/debian/changelog.in ${debian}/${package}/changelog.Debian @ONLY)
  execute_process(COMMAND ${GZIP} -9nkf ${debian}/${package}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${debian}/copyright ${debian}/${package}/changelog.Debian.gz DESTINATION ${LOOM_DOC_DIR}/${package} COMPONENT ${package})
  if(EXISTS "${PROJECT_SOURCE_DIR}/contrib/debian/${package}.overrides")
    install(FILES contrib/debian/${package}.overrides DESTINATION share/lintian/overrides RENAME ${package} COMPONENT ${package})
  endif()
endforeach()
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(FILES contrib/loom.toml DESTINATION /etc/loom COMPONENT loom)
install(FILES contrib/logrotate DESTINATION /etc/logrotate.d RENAME loom COMPONENT loom)

set(sbom "${PROJECT_BINARY_DIR}/loom.spdx.json")
add_custom_command(OUTPUT ${sbom}
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/sbom.py ${PROJECT_VERSION} ${sbom} $<TARGET_FILE:loom-broker>
          $<TARGET_FILE:loom-bridge> $<TARGET_FILE:loom-cli> $<TARGET_FILE:loom> $<TARGET_FILE:loom-schema>
  DEPENDS tools/sbom.py loom-broker loom-bridge loom-cli loom loom-schema VERBATIM COMMENT "Making the SBOM")
add_custom_target(sbom ALL DEPENDS ${sbom})
add_dependencies(installables sbom)
if(TARGET completions)
  add_dependencies(installables completions)
endif()
install(FILES ${sbom} DESTINATION ${LOOM_DOC_DIR}/loom COMPONENT loom)

# Debian's pages are packed, without a name or a time
foreach(component loom libloom-dev)
  install(CODE "file(GLOB_RECURSE pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/*.[1357]\")
    foreach(page IN LISTS pages)
      execute_process(COMMAND \"${GZIP}\" -9nf \"\${page}\")
    endforeach()" COMPONENT ${component})
endforeach()

# ---- cpack ----
set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_PACKAGE_NAME loom)
set(CPACK_PACKAGE_VENDOR Loom)
set(CPACK_PACKAGE_CONTACT "${LOOM_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "agent message bus in which every message is a trace")
set(CPACK_SET_DESTDIR ON) # /etc is no part of the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS ${CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL loom libraries libloom0 libloom-dev loom-doc)
set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)
set(CPACK_PROJECT_CONFIG_FILE "${PROJECT_SOURCE_DIR}/tools/cmake/CPackProject.cmake")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}/lib")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_LOOM_PACKAGE_NAME loom)
set(CPACK_DEBIAN_LOOM_PACKAGE_SECTION net)
# loaded when they are needed: host/http/tls_library.c, trace/export/{curl,zlib}_library.c, trace/process/syscalls/*_library.c
set(CPACK_DEBIAN_LOOM_PACKAGE_DEPENDS "libcurl4 | libcurl3-gnutls, libssl3, zlib1g, libwslay1, libloom0 (= ${LOOM_DEBIAN_VERSION})")
set(CPACK_DEBIAN_LOOM_PACKAGE_RECOMMENDS "systemd, libdw1, libseccomp2")
set(CPACK_DEBIAN_LOOM_PACKAGE_SUGGESTS "loom-doc, prometheus, podman")
set(CPACK_DEBIAN_LOOM_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/contrib/debian/postinst;${PROJECT_SOURCE_DIR}/contrib/debian/prerm;${PROJECT_SOURCE_DIR}/contrib/debian/postrm;${PROJECT_SOURCE_DIR}/contrib/debian/conffiles")
set(CPACK_DEBIAN_LIBLOOM0_PACKAGE_NAME libloom0)
set(CPACK_DEBIAN_LIBLOOM0_PACKAGE_SECTION libs)
configure_file(contrib/debian/shlibs.in ${debian}/shlibs @ONLY)
set(CPACK_DEBIAN_LIBLOOM0_PACKAGE_CONTROL_EXTRA "${debian}/shlibs;${PROJECT_SOURCE_DIR}/contrib/debian/triggers")
set(CPACK_DEBIAN_LIBLOOM0_PACKAGE_RECOMMENDS "libcurl4 | libcurl3-gnutls, libssl3, libwslay1, zlib1g")
set(CPACK_DEBIAN_LIBLOOM-DEV_PACKAGE_NAME libloom-dev)
set(CPACK_DEBIAN_LIBLOOM-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBLOOM-DEV_PACKAGE_DEPENDS "libloom0 (= ${LOOM_DEBIAN_VERSION}), libmsgpack-dev, libsodium-dev")
set(CPACK_DEBIAN_LOOM-DOC_PACKAGE_NAME loom-doc)
set(CPACK_DEBIAN_LOOM-DOC_PACKAGE_SECTION doc)
set(CPACK_DEBIAN_LOOM-DOC_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_LOOM-DOC_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_LOOM_DESCRIPTION "Broker, bridge and command line. Agents publish events and call each other's
capabilities; each message carries its W3C trace context, so that Jaeger or
any OpenTelemetry backend shows it as one connected trace.")
set(CPACK_DEBIAN_LIBLOOM0_DESCRIPTION "library for agents of the Loom message bus
What agents in C and C++ link to publish, subscribe, call and trace.")
set(CPACK_DEBIAN_LIBLOOM-DEV_DESCRIPTION "library for agents of the Loom message bus, development files
Headers, the static library, and what pkg-config and CMake need to find
libloom.")
set(CPACK_DEBIAN_LOOM-DOC_DESCRIPTION "documentation of the Loom message bus
Guides for operators and authors of agents, the wire format, and how Loom is
built.")
include(CPack)
cpack_add_component(loom GROUP loom)
cpack_add_component(libraries GROUP loom)
cpack_add_component(libloom0 GROUP libloom0)
cpack_add_component(libloom-dev GROUP libloom-dev)
cpack_add_component(loom-doc GROUP loom-doc)
foreach(group loom libloom0 libloom-dev loom-doc)
  cpack_add_component_group(${group})
endforeach()
