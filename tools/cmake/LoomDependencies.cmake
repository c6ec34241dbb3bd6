# SPDX-License-Identifier: Apache-2.0
# Every library Loom stands on, as one imported target each. All are Debian 12 packages.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nng CONFIG REQUIRED)
pkg_check_modules(msgpack REQUIRED IMPORTED_TARGET msgpack)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(uv REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(openssl REQUIRED IMPORTED_TARGET openssl>=3) # its headers: the library is loaded when TLS is first used
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(event REQUIRED IMPORTED_TARGET libevent) # of demos/workflow
pkg_check_modules(openssl REQUIRED IMPORTED_TARGET openssl)
find_path(VALIJSON_INCLUDE_DIR valijson/validator.hpp REQUIRED) # these two are headers alone, of libloom-schema
find_path(NLOHMANN_JSON_INCLUDE_DIR nlohmann/json.hpp REQUIRED)
find_path(WSLAY_INCLUDE_DIR wslay/wslay.h REQUIRED) # libwslay-dev has no pkg-config file
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(zlib REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp) # its headers, and those of libdw: trace/process/syscalls loads them
pkg_check_modules(dw REQUIRED IMPORTED_TARGET libdw)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(cmocka QUIET IMPORTED_TARGET cmocka)
option(LOOM_TESTS "Build the tests" ${cmocka_FOUND})
if(LOOM_TESTS AND NOT cmocka_FOUND)
  message(FATAL_ERROR "The tests need cmocka: install libcmocka-dev, or configure with -DLOOM_TESTS=OFF.")
endif()

# llhttp, Node's HTTP parser. Debian ships its C sources (node-llhttp), and no library. Strict, with all leniency off.
find_path(LLHTTP_INCLUDE_DIR llhttp/llhttp.h PATHS /usr/share/include REQUIRED)
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp REQUIRED)
add_library(llhttp STATIC "${LLHTTP_SOURCE_DIR}/api.c" "${LLHTTP_SOURCE_DIR}/http.c" "${LLHTTP_SOURCE_DIR}/llhttp.c")
loom_compile_settings(llhttp)
target_compile_options(llhttp PRIVATE -w) # not our code
set_target_properties(llhttp PROPERTIES C_CLANG_TIDY "")
target_compile_definitions(llhttp PRIVATE LLHTTP_STRICT_MODE=1)
target_include_directories(llhttp PRIVATE "${LLHTTP_INCLUDE_DIR}/llhttp")
target_include_directories(llhttp SYSTEM INTERFACE "${LLHTTP_INCLUDE_DIR}")
