# SPDX-License-Identifier: Apache-2.0
# loom_fuzz(NAME [SOURCES …] [LINK …])   a fuzz target, its source being NAME.c unless SOURCES says otherwise, and its
# seeds in corpus/NAME:
#   fuzz-NAME      the libFuzzer program (with LOOM_FUZZ, which needs clang), in <build>/fuzz
#   NAME-replay    runs the target over its corpus; a test with the label "fuzz", in every build
function(loom_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}.c)
  endif()

  add_executable(${name}-replay ${ARG_SOURCES} "${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c")
  loom_compile_settings(${name}-replay)
  # The entry point is declared by libFuzzer's contract, in no header.
  target_compile_options(${name}-replay PRIVATE -Wno-missing-prototypes)
  set_target_properties(${name}-replay PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_link_libraries(${name}-replay PRIVATE ${ARG_LINK})
  add_test(NAME ${name}-replay COMMAND ${name}-replay "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
  set_tests_properties(${name}-replay PROPERTIES TIMEOUT 60 LABELS fuzz)

  if(LOOM_FUZZ)
    add_executable(fuzz-${name} ${ARG_SOURCES})
    loom_compile_settings(fuzz-${name})
    target_compile_options(fuzz-${name} PRIVATE -Wno-missing-prototypes -fsanitize=fuzzer)
    target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(fuzz-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    target_link_libraries(fuzz-${name} PRIVATE ${ARG_LINK})
  endif()
endfunction()
