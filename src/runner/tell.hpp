#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

namespace autoexec::runner {

/// Prints at once. Whoever reads may be gone, and that must not stop a command that runs: what
/// can't be written is lost, which `main` finds out for standard output.
inline void tell(std::FILE* to, std::string_view text)
{
    (void)std::fwrite(text.data(), 1, text.size(), to);
    (void)std::fflush(to);
}

template <class... T>
void tell(std::FILE* to, fmt::format_string<T...> format, T&&... values) requires(sizeof...(T) > 0)
{
    tell(to, std::string_view(fmt::format(format, std::forward<T>(values)...)));
}

}  // namespace autoexec::runner
