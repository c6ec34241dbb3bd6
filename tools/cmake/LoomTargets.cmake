# SPDX-License-Identifier: Apache-2.0
# loom_library(NAME SOURCES … LINK …)   a static, position-independent module of Loom
# loom_program(NAME SOURCES … LINK …)   a program, built into bin/ and installed
# loom_hot_path(TARGET…)                     optimises it further than the rest
# loom_test(NAME SOURCES … LINK … [LABELS …] [TIMEOUT s])   a cmocka program registered with CTest

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

# For "any x86-64", gcc clears a structure of a few hundred bytes with rep stos, which takes longer to start than a dozen
# stores take: one of them was 13 of the 200 ns that an emit takes. Tuned for a processor it does not; what runs where stays
# the same. Whoever builds for a processor of their own says so in CFLAGS.
set(LOOM_TUNING "")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$"
   AND NOT CMAKE_C_FLAGS MATCHES "-m(arch|tune|cpu)=")
  set(LOOM_TUNING -mtune=skylake)
endif()

# Nothing of where it was built stays in what is built, and hardening is Debian's.
option(LOOM_REPRODUCIBLE "The same bytes wherever it is built; hardened as Debian's packages are" OFF)
if(LOOM_REPRODUCIBLE)
  set(LOOM_NOWHERE "-ffile-prefix-map=${PROJECT_BINARY_DIR}=." "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
  add_compile_options(${LOOM_NOWHERE} -fstack-protector-strong -Wformat -Werror=format-security -D_FORTIFY_SOURCE=2)
  # The linker compiles once more (LTO), and writes its folder into the debug information, of which the build id is made.
  add_link_options(${LOOM_NOWHERE} LINKER:-z,relro,-z,now $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
endif()

function(loom_compile_settings target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE ${LOOM_TUNING} -Wall -Wextra -Wshadow -Wpedantic -Werror
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> # texts for people are cut on purpose
    $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes>)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  if(LOOM_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${LOOM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${LOOM_SANITIZE})
  endif()
  if(LOOM_FUZZ)
    # Coverage feedback has to come from the code under test, not only from the target's own file.
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(loom_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  loom_compile_settings(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/include")
    target_include_directories(${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include")
  endif()
endfunction()

# What every message passes: inlined as far as it goes, also where debug information is wanted (Release does so anyway).
function(loom_hot_path)
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O3>)
  endforeach()
endfunction()

function(loom_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  loom_compile_settings(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set(component loom)
  if(name MATCHES "^loom-bench")
    set(component bench) # for those who work on Loom: in no package
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component})
  set_property(GLOBAL APPEND PROPERTY LOOM_PROGRAMS ${name})
endfunction()

# What whoever runs the tests has set for programs of their own, or hands to a child (`loom exec -- tools/test.sh`).
set(LOOM_NOT_FOR_TESTS "")
foreach(variable TRACEPARENT TRACESTATE BAGGAGE B3 OTEL_TRACEPARENT LOOM_TRACE_ID LOOM_SPAN_ID LOOM_TRACE_BAGGAGE LOOM_TRACE
                 LOOM_TRACE_SAMPLE LOOM_SPANS_FILE LOOM_LOG_SPANS OTEL_SDK_DISABLED OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES
                 OTEL_LOG_LEVEL OTEL_PROPAGATORS OTEL_TRACES_EXPORTER OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG
                 OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL TRACING_ENABLED TRACING_ENDPOINT
                 TRACING_SERVICE_NAME TRACING_SAMPLE_RATE)
  list(APPEND LOOM_NOT_FOR_TESTS "${variable}=unset:")
endforeach()

function(loom_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  loom_compile_settings(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} PkgConfig::cmocka)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT_MODIFICATION "${LOOM_NOT_FOR_TESTS}")
endfunction()
