#include "protocol/step_answer.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec::protocol;

/// No text crashes the reader, and what was read survives being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto file = parse_step_answer({reinterpret_cast<const char*>(data), size});
    if (!file) return 0;
    const auto text = format_step_answer(*file);
    if (text.size() <= step_answer_limit && parse_step_answer(text) != file) std::abort();
    return 0;
}
