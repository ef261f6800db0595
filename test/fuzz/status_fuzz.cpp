#include "protocol/status.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec::protocol;

/// No text crashes the reader, and what it made of one survives being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto reading = parse_status({reinterpret_cast<const char*>(data), size});
    if (reading.kind != StatusReading::Kind::valid) return 0;
    const auto text = format_status(reading.status);
    const auto again = parse_status(text);
    if (again.kind != StatusReading::Kind::valid || format_status(again.status) != text)
        std::abort();
    return 0;
}
