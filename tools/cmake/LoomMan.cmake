# SPDX-License-Identifier: Apache-2.0
# loom_man(TARGET NAME COMMAND [ARGUMENT…])   the manual page NAME.1, made from the program's own --help, so that the two
# never differ. Without help2man there are no pages.
find_program(HELP2MAN help2man)

function(loom_man target page)
  if(NOT HELP2MAN OR LOOM_SANITIZE)
    return()
  endif()
  set(out "${PROJECT_BINARY_DIR}/man/${page}.1")
  add_custom_command(OUTPUT "${out}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/man"
    COMMAND "${CMAKE_COMMAND}" -E env COLUMNS=100 "${HELP2MAN}" --locale=C.UTF-8 --no-info --no-discard-stderr --section=1
            "--source=Loom ${PROJECT_VERSION}" "--manual=Loom" "--version-string=${page} ${PROJECT_VERSION}"
            "--name=${ARGV2}" "--help-option=${ARGV3} --help" --output "${out}" "$<TARGET_FILE:${target}>"
    COMMAND sh -c "! grep -F '???' \"$1\"" sh "${out}" # what help2man makes of characters that it cannot read
    DEPENDS ${target} COMMENT "Making ${page}.1" VERBATIM)
  add_custom_target(man-${page} ALL DEPENDS "${out}")
  install(FILES "${out}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endfunction()
