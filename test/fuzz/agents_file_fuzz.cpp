#include "agent/agents_file_reader.hpp"
#include "agent/template.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec;
using namespace autoexec::agent;

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

// A value reaches the program as it is: each word is what its pieces say, and none is added.
void check_expansion(const AgentDefinition& definition)
{
    const TemplateValues values{"a \"b\" $(c)", "/f", "/w", "", "-x"};
    const auto templates = templates_of(definition);
    must(templates.size() == definition.commands.size());
    for (const auto& command : templates) {
        std::string problem;
        const auto argv = expand(command, values, problem);
        must(argv ? argv->size() == command.words.size() : !problem.empty());
        must(!definition.shell || command.words.front().size() == 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto reading = parse_agents(text, "agents.yaml");
    must(reading.errors.empty() == reading.errors.empty());
    (void)to_string(reading.errors);
    if (!reading.errors.empty()) return 0;

    (void)to_string(reading.file.warnings);
    must(!reading.file.agents.empty());
    for (const auto& definition : reading.file.agents) check_expansion(definition);
    std::string problem;
    must(select_agent(reading.file, "", problem) || !problem.empty());
    must(select_agent(reading.file, "x", problem) || !problem.empty());
    return 0;
}
