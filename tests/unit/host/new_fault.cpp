/* SPDX-License-Identifier: Apache-2.0 */
/* Lets alloc_fault.h reach what C++ allocates: operator new, the TOML library's included, through the wrapped malloc. */
#include <cstdlib>
#include <new>

void *operator new(std::size_t size)
{
    void *memory = std::malloc(size > 0 ? size : 1);
    if (memory == nullptr) {
        throw std::bad_alloc{};
    }
    return memory;
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}
