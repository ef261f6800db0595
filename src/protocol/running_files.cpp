#include "protocol/running_files.hpp"

#include "protocol/expected_artifacts.hpp"
#include "protocol/question_format.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

constexpr std::size_t max_recorded_artifacts = 1000;
constexpr int max_recorded_attempt = 1'000'000'000;  // retries count on

/// One such file. A member of another type counts as absent.
struct RunningDocument {
    explicit RunningDocument(std::string_view text)
        : reading(text::read_json_object(text)),
          fields(reading.kind == text::JsonReading::Kind::valid ? &reading.object : nullptr,
                 ignored)
    {}

    [[nodiscard]] std::string text(std::string_view key) const
    {
        return fields.string(key).value_or("");
    }

    text::JsonReading reading;
    std::vector<std::string> ignored;
    text::Fields fields;
};

}  // namespace

std::string format_running(const RunningRecord& record)
{
    json::object out{{"execution_id", record.execution_id},
                     {"attempt_id", record.attempt_id},
                     {"attempt", record.attempt},
                     {"workflow_id", text::or_null(record.workflow_id)},
                     {"step_id", text::or_null(record.step_id)},
                     {"command", record.command},
                     {"worktree", record.worktree},
                     {"started_at", text::iso_utc(record.started_at)},
                     {"agent", record.agent},
                     {"pid", record.pid}};
    if (!record.artifacts.empty() && record.artifacts.size() <= max_recorded_artifacts)
        out["artifacts"] = to_json(record.artifacts);
    if (record.prompts_taken) out["prompts_taken"] = *record.prompts_taken;
    if (!record.taken_prompts.empty())
        out["taken_prompts"] = json::value_from(record.taken_prompts);
    if (record.waiting_for) out["waiting_for"] = to_json(*record.waiting_for);
    return text::dump_indented(out);
}

std::optional<RunningRecord> parse_running(std::string_view text)
{
    const RunningDocument in(text);
    RunningRecord record;
    record.execution_id = in.text("execution_id");
    record.attempt_id = in.text("attempt_id");
    if (record.attempt_id.empty() || record.execution_id.empty()) return std::nullopt;
    record.attempt =
        static_cast<int>(in.fields.integer("attempt", 1, max_recorded_attempt).value_or(1));
    record.workflow_id = in.fields.string("workflow_id");
    record.step_id = in.fields.string("step_id");
    record.command = in.text("command");
    record.worktree = in.text("worktree");
    record.started_at = in.fields.time("started_at");
    record.agent = in.text("agent");
    record.pid = in.fields.integer("pid").value_or(0);
    record.prompts_taken = in.fields.integer("prompts_taken", 0);
    record.taken_prompts = in.fields.strings("taken_prompts");
    std::vector<std::string> ignored;
    record.waiting_for = question_in(in.reading.object, "waiting_for", ignored);
    record.artifacts = baseline_in(in.reading.object.if_contains("artifacts"));
    return record;
}

std::string format_executor_lock(const ExecutorLockFile& lock)
{
    return text::dump_indented({{"host", lock.host}, {"boot_id", lock.boot_id}, {"pid", lock.pid}});
}

ExecutorLockFile parse_executor_lock(std::string_view text)
{
    const RunningDocument in(text);
    ExecutorLockFile lock;
    lock.host = in.text("host");
    lock.boot_id = in.text("boot_id");
    lock.pid = in.fields.integer("pid").value_or(0);
    return lock;
}

std::string format_agent(const AgentRecord& record)
{
    return text::dump_indented({{"agent_id", record.agent_id},
                                {"pid", record.pid},
                                {"host", record.host},
                                {"started_at", text::iso_utc(record.started_at)},
                                {"agents", text::array_of(record.agents)}});
}

std::optional<AgentRecord> parse_agent(std::string_view text)
{
    const RunningDocument in(text);
    AgentRecord record;
    record.agent_id = in.text("agent_id");
    if (record.agent_id.empty()) return std::nullopt;
    record.pid = in.fields.integer("pid").value_or(0);
    record.host = in.text("host");
    record.started_at = in.fields.time("started_at");
    record.agents = in.fields.strings("agents");
    return record;
}

std::string format_claim(const ClaimFile& claim)
{
    text::JsonText out;
    out.text("attempt_id", claim.attempt_id);
    out.text("execution_id", claim.execution_id);
    out.text("agent_id", claim.agent_id);
    out.text("worktree", claim.worktree);
    out.number("pid", std::int64_t{claim.pid});
    out.text("host", claim.host);
    out.text("claimed_at", text::iso_utc(claim.claimed_at));
    return out.object();
}

ClaimFile parse_claim(std::string_view text)
{
    const RunningDocument in(text);
    ClaimFile claim;
    claim.attempt_id = in.text("attempt_id");
    claim.execution_id = in.text("execution_id");
    claim.agent_id = in.text("agent_id");
    claim.worktree = in.text("worktree");
    claim.pid = in.fields.integer("pid").value_or(0);
    claim.host = in.text("host");
    claim.claimed_at = in.fields.time("claimed_at");
    return claim;
}

}  // namespace autoexec::protocol
