#include "programs/event_reader.hpp"
#include "programs/known_programs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

using namespace autoexec;
using programs::EventReader;

namespace {

std::optional<programs::ProgramVerdict> verdict_of(const OutputRules& rules, std::string_view text,
                                                   std::size_t chunk)
{
    EventReader parser(rules);
    for (; !text.empty(); text.remove_prefix(std::min(chunk, text.size())))
        parser.feed(OutputStream::standard_output, text.substr(0, chunk));
    ProcessExit exit;
    exit.exit_code = 0;
    return parser.verdict(exit);
}

}  // namespace

/// No output crashes the judge, and how it was cut into chunks changes nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& program : programs::known_programs()) {
        if (program.outcome.events.empty()) continue;
        const auto whole = verdict_of(program.outcome, text, size);
        const auto cut = verdict_of(program.outcome, text, 1 + data[0] % 16U);
        if (!whole || !cut || whole->completed != cut->completed || whole->code != cut->code ||
            whole->message != cut->message)
            std::abort();
    }
    return 0;
}
