#include "agent/outcome.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

using namespace autoexec;
using agent::OutcomeParser;

namespace {

std::optional<agent::AgentVerdict> verdict_of(OutcomeRule rule, std::string_view text,
                                              std::size_t chunk)
{
    OutcomeParser parser(rule);
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
    for (const auto rule : {OutcomeRule::claude, OutcomeRule::codex}) {
        const auto whole = verdict_of(rule, text, size);
        const auto cut = verdict_of(rule, text, 1 + data[0] % 16U);
        if (!whole || !cut || whole->completed != cut->completed || whole->code != cut->code ||
            whole->message != cut->message)
            std::abort();
    }
    return 0;
}
