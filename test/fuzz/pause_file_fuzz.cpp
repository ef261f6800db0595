#include "protocol/pause_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec::protocol;

/// No text crashes the reader, and what was read survives being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto pauses = parse_pauses({reinterpret_cast<const char*>(data), size});
    if (!pauses) return 0;
    const auto text = format_pauses(*pauses);
    if (text.size() > pause_file_limit || parse_pauses(text) != pauses) std::abort();
    return 0;
}
