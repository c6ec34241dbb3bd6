# SPDX-License-Identifier: Apache-2.0
# loom_man(TARGET NAME SUMMARY VERB)   the manual page NAME.1, made from the program's own --help, so that the two never differ
# loom_man_pages()                     section 3 from the public headers, loom.toml(5) from the settings, loom(7) from docs/CONCEPTS.md
# Without Python there are no pages. tools/man makes them.
find_package(Python3 3.9 COMPONENTS Interpreter QUIET)
set(LOOM_MAN "${PROJECT_SOURCE_DIR}/tools/man")
set(LOOM_MAN_OUT "${PROJECT_BINARY_DIR}/man")
file(MAKE_DIRECTORY "${LOOM_MAN_OUT}")
set(LOOM_MAN_TARGETS "" CACHE INTERNAL "")

function(loom_man target page)
  if(NOT Python3_Interpreter_FOUND OR LOOM_SANITIZE)
    return()
  endif()
  set(out "${LOOM_MAN_OUT}/${page}.1")
  string(REPLACE " " ";" verb "${ARGV3}")
  add_custom_command(OUTPUT "${out}"
    COMMAND Python3::Interpreter -B "${LOOM_MAN}/program.py" ${page} "${ARGV2}" ${PROJECT_VERSION} "${out}" "$<TARGET_FILE:${target}>" ${verb}
    DEPENDS ${target} "${LOOM_MAN}/program.py" "${LOOM_MAN}/roff.py" COMMENT "Making ${page}.1" VERBATIM)
  add_custom_target(man-${page} ALL DEPENDS "${out}")
  set(LOOM_MAN_TARGETS ${LOOM_MAN_TARGETS} man-${page} CACHE INTERNAL "")
  install(FILES "${out}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT loom)
endfunction()

function(loom_man_pages)
  if(NOT Python3_Interpreter_FOUND OR LOOM_SANITIZE)
    return()
  endif()
  set(headers)
  foreach(folder base envelope trace sdk-c)
    file(GLOB found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/include/loom/*.h")
    list(APPEND headers ${found})
  endforeach()
  add_custom_command(OUTPUT "${LOOM_MAN_OUT}/man3.stamp"
    COMMAND Python3::Interpreter -B "${LOOM_MAN}/functions.py" "${PROJECT_SOURCE_DIR}" "${LOOM_MAN_OUT}/man3" ${PROJECT_VERSION}
    COMMAND "${CMAKE_COMMAND}" -E touch "${LOOM_MAN_OUT}/man3.stamp"
    DEPENDS ${headers} "${LOOM_MAN}/functions.py" "${LOOM_MAN}/headers.py" "${LOOM_MAN}/prose.py" "${LOOM_MAN}/roff.py"
    COMMENT "Making the pages of libloom's functions" VERBATIM)
  add_custom_command(OUTPUT "${LOOM_MAN_OUT}/loom.toml.5"
    COMMAND Python3::Interpreter -B "${LOOM_MAN}/settings.py" ${PROJECT_VERSION} "${LOOM_MAN_OUT}/loom.toml.5" "$<TARGET_FILE:settings-table>"
    DEPENDS settings-table "${LOOM_MAN}/settings.py" "${LOOM_MAN}/roff.py" COMMENT "Making loom.toml.5" VERBATIM)
  add_custom_command(OUTPUT "${LOOM_MAN_OUT}/loom.7"
    COMMAND Python3::Interpreter -B "${LOOM_MAN}/concepts.py" "${PROJECT_SOURCE_DIR}/docs/CONCEPTS.md" ${PROJECT_VERSION} "${LOOM_MAN_OUT}/loom.7"
    DEPENDS "${PROJECT_SOURCE_DIR}/docs/CONCEPTS.md" "${LOOM_MAN}/concepts.py" "${LOOM_MAN}/roff.py" COMMENT "Making loom.7" VERBATIM)
  add_custom_target(man-pages ALL DEPENDS "${LOOM_MAN_OUT}/man3.stamp" "${LOOM_MAN_OUT}/loom.toml.5" "${LOOM_MAN_OUT}/loom.7")
  set(LOOM_MAN_TARGETS ${LOOM_MAN_TARGETS} man-pages CACHE INTERNAL "")
  install(DIRECTORY "${LOOM_MAN_OUT}/man3/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man3" COMPONENT libloom-dev FILES_MATCHING PATTERN "*.3")
  install(FILES "${LOOM_MAN_OUT}/loom.toml.5" DESTINATION "${CMAKE_INSTALL_MANDIR}/man5" COMPONENT loom)
  install(FILES "${LOOM_MAN_OUT}/loom.7" DESTINATION "${CMAKE_INSTALL_MANDIR}/man7" COMPONENT loom)
endfunction()
