#include "protocol/workflow_journal.hpp"

#include "protocol/expected_artifacts.hpp"
#include "protocol/result_format.hpp"
#include "protocol/step_answer.hpp"
#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;
using Type = WorkflowEvent::Type;

// An agent's text must not fill the journal.
constexpr std::size_t max_journal_text = 16 * 1024;
constexpr std::size_t max_journal_items = 1000;
// The largest integer that every JSON reader can hold.
constexpr std::int64_t max_seq = std::int64_t{1} << 53;
// Far from the largest integer: a resumed run counts on.
constexpr int max_round = 1'000'000'000;

// Its depth is that of our own result: bounded.
void shorten(json::value& value)
{
    if (const auto* const text = value.if_string(); text && text->size() > max_journal_text) {
        value = text::valid_utf8(std::string(text->data(), max_journal_text)) + "…";
    } else if (auto* const list = value.if_array()) {
        if (list->size() > max_journal_items) list->resize(max_journal_items);
        for (auto& item : *list) shorten(item);
    } else if (auto* const object = value.if_object()) {
        for (auto& member : *object) shorten(member.value());
    }
}

json::value text_within_limit(const std::string& text)
{
    auto value = text::text_or_null(text);
    shorten(value);
    return value;
}

json::array json_of(const std::vector<LaidArtifact>& artifacts)
{
    json::array array;
    for (const auto& one : artifacts) array.push_back({{"commit", one.commit}, {"path", one.path}});
    return array;
}

/// What both ends of a step begin with.
json::object step_fields(const StepResult& result, StepState state, const std::string& reason)
{
    const auto& execution = result.execution;
    json::value whole = to_json(result);
    whole.get_object().erase("output");  // stored below `output/`
    shorten(whole);
    return {
        {"step", result.id},
        {"round", result.round},
        {"state", to_string(state)},
        {"reason", text_within_limit(reason)},
        {"execution_id", text::text_or_null(execution ? execution->execution_id : std::string())},
        {"attempts", execution ? execution->attempts : 0},
        {"started_at", text::text_or_null(text::iso_utc(result.started_at))},
        {"duration_seconds", std::chrono::duration<double>(result.duration).count()},
        {"result", std::move(whole)}};
}

struct Encoder {
    json::object operator()(std::monostate) const { return {}; }

    json::object operator()(const RunStarted& run) const
    {
        json::array steps;
        for (const auto& step : run.steps)
            steps.push_back({{"id", step.id}, {"agent", step.agent}, {"action", step.action}});
        json::object out{
            {"run_id", run.run_id},
            {"workflow_id", run.workflow_id},
            {"name", run.name},
            {"path", run.path},
            {"hash", run.hash},
            {"pid", run.pid},
            {"automatic", run.automatic},
            {"fail_fast", run.fail_fast},
            {"max_parallel", run.max_parallel},
            {"worktrees", run.worktrees ? json::value(to_string(*run.worktrees)) : nullptr},
            {"worktree", run.worktree},
            {"base", text::text_or_null(run.base)},
            {"branch", text::text_or_null(run.branch)},
            {"merge_into", text::text_or_null(run.merge_into)},
            {"params", run.params}};
        if (!run.env.empty()) out["env"] = variables(run.env);
        if (!run.parent_run.empty()) out["parent_run"] = run.parent_run;
        if (!run.parent_run.empty()) out["parent_step"] = run.parent_step;
        out["steps"] = std::move(steps);
        return out;
    }

    json::object operator()(const RunWaiting& it) const
    {
        return {{"group", it.group},
                {"run", text::text_or_null(it.run_id)},
                {"cancels", it.cancels},
                {"pid", it.pid}};
    }

    static json::object variables(const std::map<std::string, std::string>& env)
    {
        json::object out;
        for (const auto& [name, value] : env) out[name] = value;
        return out;
    }

    json::object operator()(const Restarted& it) const
    {
        return {{"roots", text::array_of(it.roots)}, {"steps", text::array_of(it.steps)}};
    }

    json::object operator()(const StepStarted& it) const
    {
        json::object out{{"step", it.step},
                         {"round", it.round},
                         {"execution_id", it.execution_id},
                         {"worktree", it.worktree}};
        if (it.tree) {
            out["tree"] = it.tree->name;
            out["base"] = it.tree->base;
            out["laid"] = json_of(it.tree->laid);
        }
        if (!it.child_run.empty()) out["child_run"] = it.child_run;
        return out;
    }

    json::object operator()(const StepPrepared& it) const
    {
        return {{"step", it.step},        {"round", it.round},
                {"base", it.tree.base},   {"laid", json_of(it.tree.laid)},
                {"branch", it.branch},    {"tree", it.tree.name},
                {"worktree", it.worktree}};
    }

    json::object operator()(const StepReady& it) const
    {
        return {{"step", it.step},
                {"round", it.round},
                {"worktree", it.worktree},
                {"artifacts", to_json(it.artifacts.value_or(ArtifactBaseline{}))}};
    }

    json::object operator()(const StepRetried& it) const
    {
        return {{"step", it.step}, {"round", it.round}, {"attempt", it.attempt}};
    }

    json::object operator()(const StepWaiting& it) const
    {
        json::object out{{"step", it.step}, {"round", it.round}};
        if (it.wait) {
            auto wait = to_json(*it.wait);
            wait["text"] = text_within_limit(it.wait->text);
            out["manual"] = std::move(wait);
        }
        return out;
    }

    json::object operator()(const StepExecuted& it) const
    {
        auto out = step_fields(it.result, it.state, it.reason);
        out["missing"] = text::array_of(it.missing);
        if (!it.output.empty()) out["output"] = text_within_limit(it.output);
        if (!it.cached.empty()) out["cached"] = it.cached;
        return out;
    }

    json::object operator()(const StepEnded& it) const
    {
        const auto& result = it.result;
        auto out = step_fields(result, result.state, result.reason);
        out["tolerated"] = result.tolerated;
        out["discarded"] = it.discarded;
        out["late"] = it.late;
        out["code"] = text::text_or_null(result.code);
        out["ended_at"] = text::text_or_null(text::iso_utc(result.ended_at));
        out["provided"] = text::array_of(it.provided);
        out["commit"] = text::text_or_null(result.commit);
        out["kept"] = text::text_or_null(it.kept);
        if (!it.output.empty()) out["output"] = text_within_limit(it.output);
        if (!it.cache_key.empty()) out["cache_key"] = it.cache_key;
        return out;
    }

    json::object operator()(const StepSkipped& it) const
    {
        return {{"step", it.step},
                {"round", it.round},
                {"reason", text_within_limit(it.reason)},
                {"goes_on", it.goes_on}};
    }

    json::object operator()(const StepExpanded& it) const
    {
        json::array steps;
        for (std::size_t k = 1; k <= it.items.size(); ++k) steps.emplace_back(part_id(it.step, k));
        return {{"step", it.step},
                {"round", it.round},
                {"steps", std::move(steps)},
                {"items", it.items}};
    }

    json::object operator()(const StepPicked& it) const
    {
        return {{"step", it.step}, {"round", it.round}, {"picked", it.picked}, {"value", it.value}};
    }

    json::object operator()(const GateJudged& it) const
    {
        return {{"step", it.step},
                {"round", it.round},
                {"passed", text::or_null(it.passed)},
                {"state", it.state ? json::value(to_string(*it.state)) : nullptr},
                {"reason", text_within_limit(it.reason)}};
    }

    json::object operator()(const SentBack& it) const
    {
        return {{"step", it.step},
                {"round", it.round},
                {"to", it.to},
                {"steps", text::array_of(it.steps)}};
    }

    json::object operator()(const Merged& it) const
    {
        return {{"branch", it.branch}, {"commit", it.commit}};
    }

    json::object operator()(const RunEnded& it) const
    {
        return {{"status", to_string(it.status)}, {"error", text_within_limit(it.error)}};
    }
};

/// Decodes one object. A field of another type counts as absent.
class Decoder {
public:
    explicit Decoder(const json::object& line) : line_(line), in_(&line, ignored_) {}

    [[nodiscard]] std::optional<std::int64_t> seq(std::int64_t after) const
    {
        return in_.integer("seq", after + 1, max_seq);
    }
    [[nodiscard]] EntryTime time() const { return in_.time("time"); }
    [[nodiscard]] std::optional<std::string> event() const { return in_.string("event"); }
    [[nodiscard]] std::string text(std::string_view key) const
    {
        return in_.string(key).value_or("");
    }

    [[nodiscard]] Transition transition(Type type) const
    {
        switch (type) {
            case Type::run_started:
                return run_started();
            case Type::run_waiting:
                return RunWaiting{text("group"), text("run"), is("cancels"),
                                  in_.integer("pid").value_or(0)};
            case Type::restarted:
                return Restarted{in_.strings("roots"), in_.strings("steps")};
            case Type::step_started:
                return step_started();
            case Type::step_prepared:
                return StepPrepared{text("step"), round(), tree(), text("branch"),
                                    text("worktree")};
            case Type::step_ready:
                return step_ready();
            case Type::step_retried:
                return StepRetried{text("step"), round(), count("attempt", max_round)};
            case Type::step_waiting:
                return StepWaiting{text("step"), round(), read_manual_wait(in_.object("manual"))};
            case Type::step_executed:
                return step_executed();
            case Type::step_ended:
                return step_ended();
            case Type::step_skipped:
                return StepSkipped{text("step"), round(), text("reason"), is("goes_on")};
            case Type::expanded: {
                const auto* const items = list("items");
                return StepExpanded{text("step"), round(), items ? *items : json::array{}};
            }
            case Type::picked:
                return StepPicked{text("step"), round(), text("picked"),
                                  in_.number("value").value_or(0)};
            case Type::gate_judged:
                return GateJudged{text("step"), round(), in_.boolean("passed"),
                                  parse_word<StepState>(text("state")), text("reason")};
            case Type::sent_back:
                return SentBack{text("step"), round(), text("to"), in_.strings("steps")};
            case Type::merged:
                return Merged{text("branch"), text("commit")};
            case Type::run_ended:
                // An unknown word of a later version is not taken for a success.
                return RunEnded{
                    parse_word<WorkflowStatus>(text("status")).value_or(WorkflowStatus::failed),
                    text("error")};
        }
        return {};
    }

private:
    [[nodiscard]] bool is(std::string_view key) const { return in_.boolean(key).value_or(false); }
    [[nodiscard]] int count(std::string_view key, int max = std::numeric_limits<int>::max()) const
    {
        return static_cast<int>(in_.integer(key, 0, max).value_or(0));
    }
    [[nodiscard]] int round() const { return count("round", max_round); }

    [[nodiscard]] const json::array* list(std::string_view key) const
    {
        const auto* const value = line_.if_contains(key);
        return value ? value->if_array() : nullptr;
    }

    [[nodiscard]] RunStarted run_started() const
    {
        RunStarted run;
        run.run_id = text("run_id");
        run.workflow_id = text("workflow_id");
        run.name = text("name");
        run.path = text("path");
        run.hash = text("hash");
        run.pid = in_.integer("pid").value_or(0);
        run.automatic = in_.boolean("automatic").value_or(true);
        run.fail_fast = is("fail_fast");
        run.max_parallel = static_cast<std::size_t>(count("max_parallel"));
        run.worktrees = parse_word<WorktreeMode>(text("worktrees"));
        run.worktree = text("worktree");
        run.base = text("base");
        run.branch = text("branch");
        run.merge_into = text("merge_into");
        run.parent_run = text("parent_run");
        run.parent_step = text("parent_step");
        if (const auto* const params = line_.if_contains("params"); params && params->is_object())
            run.params = params->get_object();
        if (const auto* const env = line_.if_contains("env"); env && env->is_object())
            for (const auto& [name, value] : env->get_object())
                if (value.is_string()) run.env.emplace(name, value.get_string());
        const auto* const steps = list("steps");
        for (std::size_t i = 0; steps && i < steps->size(); ++i) {
            const text::Fields step((*steps)[i].if_object(), ignored_);
            run.steps.push_back({step.string("id").value_or(""), step.string("agent").value_or(""),
                                 step.string("action").value_or("")});
        }
        return run;
    }

    [[nodiscard]] StepTree tree() const
    {
        StepTree tree{text("tree"), text("base"), {}};
        const auto* const laid = list("laid");
        for (std::size_t i = 0; laid && i < laid->size(); ++i) {
            const text::Fields one((*laid)[i].if_object(), ignored_);
            tree.laid.push_back(
                {one.string("commit").value_or(""), one.string("path").value_or("")});
        }
        return tree;
    }

    [[nodiscard]] StepStarted step_started() const
    {
        StepStarted it{text("step"), round(), text("execution_id"), text("worktree"), {}};
        if (in_.string("tree")) it.tree = tree();
        it.child_run = text("child_run");
        return it;
    }

    [[nodiscard]] StepReady step_ready() const
    {
        StepReady it{text("step"), round(), text("worktree"), {}};
        const auto* const artifacts = line_.if_contains("artifacts");
        if (artifacts && artifacts->is_object()) it.artifacts = baseline_in(artifacts);
        return it;
    }

    // An unknown state of a later version is not taken for a success.
    [[nodiscard]] StepState state(const text::Fields& in) const
    {
        return parse_word<StepState>(in.string("state").value_or("")).value_or(StepState::failed);
    }

    [[nodiscard]] StepResult result(const std::string& reason) const
    {
        const auto in = in_.object("result");
        StepResult result;
        result.id = text("step");
        result.round = round();
        result.state = state(in);
        result.reason = reason;
        result.gate_passed = in.boolean("gate_passed");
        result.tolerated = in.boolean("tolerated").value_or(false);
        result.started_at = in_.time("started_at");
        result.ended_at = in.time("ended_at");
        result.branch = in.string("branch").value_or("");
        result.commit = in.string("commit").value_or("");
        result.cached_from = in.string("cached_from").value_or("");
        constexpr double max_seconds = 1e9;
        result.duration = std::chrono::milliseconds(std::llround(
            1000 * std::clamp(in_.number("duration_seconds").value_or(0), 0.0, max_seconds)));
        result.answer = read_step_answer(in.object("answer"));
        result.child_run = in.string("child_run").value_or("");
        result.execution = read_execution(in);
        if (!result.execution) {
            result.code = in.string("error_code").value_or("");
            result.warnings = in.strings("warnings");
        }
        if (result.execution) result.execution->output = text("output");
        // Written by another version, without the whole result.
        const auto id = in_.string("execution_id");
        if (!result.execution && id) {
            result.execution.emplace();
            result.execution->execution_id = *id;
            result.execution->attempts = count("attempts");
        }
        return result;
    }

    [[nodiscard]] StepExecuted step_executed() const
    {
        return {result(in_.object("result").string("reason").value_or("")),
                state(in_),
                text("reason"),
                in_.strings("missing"),
                text("output"),
                text("cached")};
    }

    [[nodiscard]] StepEnded step_ended() const
    {
        auto reason = in_.string("reason");
        if (!reason) reason = in_.object("result").string("error");
        StepEnded it{result(reason.value_or("")),
                     is("discarded"),
                     is("late"),
                     in_.strings("provided"),
                     text("kept"),
                     text("output"),
                     text("cache_key")};
        it.result.state = state(in_);
        it.result.tolerated = is("tolerated");
        it.result.code = text("code");
        it.result.ended_at = in_.time("ended_at");
        if (!it.result.ended_at) it.result.ended_at = time();
        it.result.commit = text("commit");
        return it;
    }

    const json::object& line_;
    mutable std::vector<std::string> ignored_;
    text::Fields in_;
};

}  // namespace

std::optional<Type> type_of(const Transition& transition)
{
    constexpr auto last = static_cast<std::size_t>(Type::run_ended);
    static_assert(std::is_same_v<std::variant_alternative_t<last + 1, Transition>, RunEnded>);
    if (transition.index() == 0) return std::nullopt;
    return static_cast<Type>(transition.index() - 1);
}

const std::string* step_of(const Transition& transition)
{
    return std::visit(
        [](const auto& it) -> const std::string* {
            if constexpr (requires { it.step; })
                return &it.step;
            else if constexpr (requires { it.result; })
                return &it.result.id;
            else
                return nullptr;
        },
        transition);
}

std::string part_id(std::string_view step, std::size_t number)
{
    return fmt::format("{}.{}", step, number);
}

std::string journal_output(std::string_view output)
{
    return std::string(text::tail(output, max_journal_text));
}

std::string format_journal_entry(std::int64_t seq, std::chrono::system_clock::time_point time,
                                 const Transition& transition)
{
    const auto type = type_of(transition);
    if (!type) return {};
    json::object object = {
        {"seq", seq}, {"time", text::iso_utc(time)}, {"event", to_string(*type)}};
    const auto fields = std::visit(Encoder{}, transition);
    object.insert(fields.begin(), fields.end());
    auto line = text::dump_line(object);
    const bool is_readable = text::read_json_object(line).kind == text::JsonReading::Kind::valid;
    return is_readable ? std::move(line) : std::string();
}

std::optional<JournalEntry> read_journal_entry(std::string_view line, std::int64_t after)
{
    const auto json = text::read_json_object(line);
    if (json.kind != text::JsonReading::Kind::valid) return std::nullopt;
    const Decoder decoder(json.object);
    const auto seq = decoder.seq(after);
    const auto event = decoder.event();
    if (!seq || !event) return std::nullopt;
    JournalEntry entry{*seq, decoder.time(), {}};
    if (const auto type = parse_word<Type>(*event)) entry.transition = decoder.transition(*type);
    return entry;
}

}  // namespace autoexec::protocol
