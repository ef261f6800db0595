#include "workflow/run/step_cache.hpp"

#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>

#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;

constexpr std::size_t max_details = 48 * 1024;  // a commit's message has at most 64 KiB
constexpr std::size_t max_run_id = 500;
// The only variable that differs in each run.
constexpr std::string_view run_variable = "AUTOEXEC_RUN_ID";

json::object variables_of(const CommandRequest& request)
{
    json::object variables;
    if (!request.environment) return variables;
    for (const auto& [name, value] : request.environment->variables)
        if (name != run_variable) variables[name] = value;
    return variables;
}

}  // namespace

bool uses_cache(const RunInputs& inputs, const RunState& state, std::size_t step)
{
    const auto& s = state.step(step);
    return inputs.workflow.steps[step].cache && s.result.round == 1 && s.command.in_git &&
           inputs.options.worktrees == WorktreeMode::step && inputs.options.automatic;
}

std::string cache_key(const RunInputs& inputs, const RunState& state, std::size_t step,
                      const std::string& base_tree, const std::vector<std::string>& laid)
{
    const auto& definition = inputs.workflow.steps[step];
    const auto& command = state.step(step).command;
    const auto& request = command.request;
    const bool only_created =
        definition.commit.value_or(inputs.workflow.commit) == CommitScope::creates;
    const json::object parts{{"version", 1},
                             {"workflow", inputs.workflow.id},
                             {"step", definition.id},
                             {"agent", command.agent},
                             {"model", definition.model},
                             {"command", request.command},
                             {"argv", text::array_of(request.argv)},
                             {"env", variables_of(request)},
                             {"env_refs", text::array_of(request.env_refs)},
                             {"working_directory", definition.working_directory},
                             {"artifacts", text::array_of(request.expected_artifacts)},
                             {"results", inputs.plan.steps[step].results},
                             {"require_artifacts", request.require_artifacts},
                             {"only_created", only_created},
                             {"base", base_tree},
                             {"laid", text::array_of(laid)}};
    return text::sha256_hex(text::dump_line(parts));
}

std::string cache_details(const RunInputs& inputs, const RunState& state,
                          const StepOutcome& outcome)
{
    const auto& step = state.step(outcome.step);
    const auto& execution = outcome.execution;
    json::object parts{{"key", step.cache_key}, {"run_id", state.run_id}, {"step", step.result.id}};
    if (execution) {
        parts["verified"] = to_string(execution->verified);
        if (execution->exit_code) parts["exit_code"] = *execution->exit_code;
        if (inputs.plan.steps[outcome.step].output_used)
            parts["output"] = protocol::journal_output(execution->output);
    }
    auto line = text::dump_line(parts);
    return line.size() <= max_details ? std::move(line) : std::string();
}

std::optional<CachedEnd> read_cache_details(std::string_view details, const std::string& key)
{
    const auto reading = text::read_json_object(details);
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    std::vector<std::string> ignored;
    const text::Fields in(&reading.object, ignored);
    if (in.string("key") != key) return std::nullopt;
    CachedEnd end;
    end.run_id = in.string("run_id").value_or("");
    const auto& id = end.run_id;
    // A program may have written it, and people read it.
    if (id.empty() || id.size() > max_run_id || text::printable(id) != id) return std::nullopt;
    end.execution.status = ExecutionStatus::completed;
    end.execution.verified = protocol::parse_word<Verification>(in.string("verified").value_or(""))
                                 .value_or(Verification::none);
    end.execution.exit_code = in.small_integer("exit_code");
    end.execution.output = in.string("output").value_or("");
    return end;
}

}  // namespace autoexec::workflow
