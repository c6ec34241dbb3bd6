# SPDX-License-Identifier: Apache-2.0
# What is installed: libloom.so, libloom.a, <loom/*.h>, loom.pc, and a CMake package with loom::loom.
include(CMakePackageConfigHelpers)

set(LIBLOOM_MODULES loom_base loom_envelope loom_trace loom_messaging loom_sdk)
set(LIBLOOM_OBJECTS)
set(LIBLOOM_INCLUDES)
foreach(module ${LIBLOOM_MODULES})
  list(APPEND LIBLOOM_OBJECTS $<TARGET_OBJECTS:${module}>)
endforeach()
foreach(folder base envelope trace sdk-c)
  list(APPEND LIBLOOM_INCLUDES "${PROJECT_SOURCE_DIR}/${folder}/include")
endforeach()

# Shared: everything is compiled with hidden visibility, so that LOOM_API alone decides what shows.
add_library(loom SHARED ${LIBLOOM_OBJECTS})
add_library(loom::loom ALIAS loom)
set_target_properties(loom PROPERTIES LINKER_LANGUAGE C VERSION ${PROJECT_VERSION} SOVERSION 0)
foreach(folder ${LIBLOOM_INCLUDES})
  target_include_directories(loom INTERFACE $<BUILD_INTERFACE:${folder}>)
endforeach()
target_link_libraries(loom PRIVATE PkgConfig::msgpack PkgConfig::sodium Threads::Threads ${CMAKE_DL_LIBS})
target_link_options(loom PRIVATE LINKER:-z,relro,-z,now)
if(LOOM_SANITIZE)
  target_link_options(loom PUBLIC -fsanitize=${LOOM_SANITIZE})
else()
  target_link_options(loom PRIVATE LINKER:-z,defs)
endif()

# Static: one object out of all, in which hidden names become local. Otherwise a program's own `session_start` would
# clash with ours.
set(LIBLOOM_STATIC "${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/libloom.a" CACHE INTERNAL "")
set(LIBLOOM_WHOLE "${CMAKE_CURRENT_BINARY_DIR}/libloom.o")
set(LIBLOOM_RELINK "${CMAKE_C_COMPILER}" -r -nostdlib ${LOOM_NOWHERE})
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_INTERPROCEDURAL_OPTIMIZATION)
  list(APPEND LIBLOOM_RELINK -flinker-output=nolto-rel)
endif()
add_custom_command(OUTPUT "${LIBLOOM_STATIC}"
  COMMAND ${LIBLOOM_RELINK} -o "${LIBLOOM_WHOLE}" ${LIBLOOM_OBJECTS}
  COMMAND "${CMAKE_OBJCOPY}" --localize-hidden "${LIBLOOM_WHOLE}"
  COMMAND "${CMAKE_COMMAND}" -E rm -f "${LIBLOOM_STATIC}"
  COMMAND "${CMAKE_AR}" qcs "${LIBLOOM_STATIC}" "${LIBLOOM_WHOLE}"
  DEPENDS ${LIBLOOM_MODULES} ${LIBLOOM_OBJECTS}
  COMMAND_EXPAND_LISTS VERBATIM COMMENT "Making libloom.a")
add_custom_target(loom_static_archive ALL DEPENDS "${LIBLOOM_STATIC}")
add_library(loom_static STATIC IMPORTED GLOBAL)
add_dependencies(loom_static loom_static_archive)
set_target_properties(loom_static PROPERTIES IMPORTED_LOCATION "${LIBLOOM_STATIC}")
target_include_directories(loom_static INTERFACE ${LIBLOOM_INCLUDES})
target_link_libraries(loom_static INTERFACE PkgConfig::msgpack PkgConfig::sodium Threads::Threads ${CMAKE_DL_LIBS})

install(TARGETS loom EXPORT loomTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libloom0 NAMELINK_COMPONENT libloom-dev
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES "${LIBLOOM_STATIC}" DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libloom-dev)
foreach(folder ${LIBLOOM_INCLUDES})
  install(DIRECTORY "${folder}/loom" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libloom-dev FILES_MATCHING PATTERN "*.h")
endforeach()

set(LIBLOOM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/loom)
install(EXPORT loomTargets NAMESPACE loom:: DESTINATION ${LIBLOOM_CMAKE_DIR} COMPONENT libloom-dev)
configure_package_config_file(packaging/loomConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/loomConfig.cmake"
  INSTALL_DESTINATION ${LIBLOOM_CMAKE_DIR} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/loomConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/loomConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/loomConfigVersion.cmake"
  DESTINATION ${LIBLOOM_CMAKE_DIR} COMPONENT libloom-dev)

# The .pc file finds its prefix from where it lies, so that a moved tree goes on working.
file(RELATIVE_PATH LOOM_PC_TO_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file(packaging/loom.pc.in "${CMAKE_CURRENT_BINARY_DIR}/loom.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/loom.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libloom-dev)
