# SPDX-License-Identifier: Apache-2.0
# loom_fuzz(NAME [SOURCES …] [LINK …])   a fuzz target, its source being NAME.c unless SOURCES says otherwise, and its
# seeds in corpus/NAME:
#   NAME-replay    runs the target over its corpus; a test with the label "fuzz", in every build
#   fuzz-NAME      the libFuzzer program (with LOOM_FUZZ, which needs clang), in <build>/fuzz; the target "fuzzers" is all
#   NAME-smoke     runs that for some thousand inputs, the same each time; a test with the label "smoke"
include_guard(GLOBAL)
set(LOOM_FUZZ_RUNS 10000 CACHE STRING "Inputs of each fuzz target's smoke test")

if(LOOM_FUZZ)
  add_custom_target(fuzzers)
endif()

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
    target_compile_options(fuzz-${name} PRIVATE -Wno-missing-prototypes)
    target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(fuzz-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    target_link_libraries(fuzz-${name} PRIVATE ${ARG_LINK})
    add_dependencies(fuzzers fuzz-${name})
    add_test(NAME ${name}-smoke COMMAND "${PROJECT_SOURCE_DIR}/tests/fuzz/smoke.sh" $<TARGET_FILE:fuzz-${name}>
             "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}" ${LOOM_FUZZ_RUNS})
    set_tests_properties(${name}-smoke PROPERTIES TIMEOUT 120 LABELS smoke)
  endif()
endfunction()
