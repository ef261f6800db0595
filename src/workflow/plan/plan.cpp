#include "workflow/plan/plan.hpp"

#include "protocol/command_file.hpp"
#include "protocol/error_classes.hpp"
#include "protocol/expected_artifacts.hpp"
#include "text/text.hpp"
#include "workflow/plan/expansion.hpp"
#include "workflow/plan/names.hpp"
#include "workflow/plan/params.hpp"
#include "workflow/plan/placeholders.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <span>

namespace autoexec::workflow {
namespace {

using Kind = GateTarget::Kind;

constexpr std::size_t max_creators =
    100;  // of one artifact: an edge from each to every step that requires it
constexpr std::size_t max_problems = 1000;  // more would not help
constexpr std::size_t max_guesses = 100;    // a guess compares with all names
constexpr std::size_t max_used = 1000;      // workflows, each with different texts of agents
constexpr std::array<std::string_view, 4> reserved{"next", "retry", "end", "fail"};

// The fields that `PlanProblem::item` counts in.
constexpr std::array<std::string_view, 7> lists{
    "requires", "creates", "depends_on", "optional_steps", "argv", "env_refs", "retry.on"};

// Also by another name, such as `bash-5.2` or `ksh93`.
bool is_shell(std::string_view program)
{
    constexpr std::array<std::string_view, 14> shells{"ash",  "bash", "csh",  "dash",  "fish",
                                                      "ksh",  "mksh", "posh", "rbash", "rksh",
                                                      "tcsh", "sh",   "yash", "zsh"};
    program.remove_prefix(program.rfind('/') + 1);
    program = program.substr(0, program.find_last_not_of("-.0123456789") + 1);
    return std::ranges::count(shells, program) > 0;
}

/// Words of an `argv`, without the last.
struct WordRange {
    std::size_t first = 0;
    std::size_t last = 0;

    [[nodiscard]] bool contains(std::size_t k) const { return first <= k && k < last; }
};

/// What `env -S` divides into words: its options, up to one that is not.
WordRange split_by_env(const std::vector<std::string>& argv)
{
    if (argv.empty() || !(argv.front() == "env" || argv.front().ends_with("/env"))) return {};
    for (std::size_t at = 1; at < argv.size() && argv[at].starts_with('-'); ++at) {
        const std::string_view word = argv[at];
        const bool is_long = word.starts_with("--");
        const bool splits = is_long ? word.starts_with("--s") : word.find('S') != word.npos;
        if (splits) return {at, at + 2};
        const bool has_value =
            word == "-u" || word == "-C" || word == "--unset" || word == "--chdir";
        if (has_value) ++at;
    }
    return {};
}

/// The options of a shell, and its script, as in `[env, A=b, bash, -ec, SCRIPT, …]`. The shell need
/// not be the first word: other programs start it.
WordRange script_in(const std::vector<std::string>& argv)
{
    if (const auto split = split_by_env(argv); split.last > 0) return split;
    const auto shell =
        static_cast<std::size_t>(std::ranges::find_if(argv, is_shell) - argv.begin());
    const bool is_program = shell == 0 || argv.front().ends_with("env");
    bool has_script = false;
    auto at = shell + 1;
    for (; at < argv.size(); ++at) {
        const std::string_view word = argv[at];
        const bool is_option = word.size() > 1 && (word.front() == '-' || word.front() == '+');
        if (!is_option) break;
        const bool is_long = word.starts_with("--");
        // A value may have any letter.
        has_script |= word == "--command" || (!is_long && word.find_first_of("c{") != word.npos);
        const bool names_file = word == "--rcfile" || word == "--init-file";
        const bool names_setting = !is_long && word.find_first_of("oO") != word.npos;
        if (names_file || names_setting) ++at;
    }
    if (at >= argv.size()) return {shell + 1, argv.size()};
    // A value may be an option, too.
    has_script |= is_program && argv[at].starts_with('{');
    return {shell + 1, has_script ? at + 1 : at};
}

using ParamNames = std::set<std::string, std::less<>>;

struct UsedProblems {
    /// The first problem of each used workflow, with those of its parameters that agents write.
    std::map<std::pair<const Workflow*, ParamNames>, std::string> known;
    UsedDepths depths;
};

// A function for each rule; they share the workflow, the plan and the problems.
class Planner {
public:
    /// `by_agents`: parameters that agents write. `used`: what is known of used workflows.
    Planner(const Workflow& workflow, std::vector<PlanProblem>& problems, UsedProblems& used,
            ParamNames by_agents = {}, std::size_t depth = 1)
        : workflow_(workflow),
          problems_(problems),
          used_(used),
          by_agents_(std::move(by_agents)),
          depth_(depth),
          followers_(workflow.steps.size())
    {
        plan_.steps.resize(workflow.steps.size());
    }

    Plan make()
    {
        if (workflow_.id.empty()) complain({{}, "id", 0, "The workflow needs an id"});
        if (workflow_.steps.empty()) complain({{}, "steps", 0, "The workflow has no steps"});
        if (workflow_.steps.size() > max_steps) {
            complain({{}, "steps", 0, fmt::format("There are more than {} steps", max_steps)});
            return std::move(plan_);
        }
        index_steps();
        find_creators();
        check_variables({}, workflow_.env);
        if (workflow_.retry) check_retry({}, *workflow_.retry);
        check_group();
        for (std::size_t i = 0; i < plan_.steps.size(); ++i) read_step(i);
        close();
        order_phases();
        if (edges_ > max_edges) {
            if (problems_.size() == max_problems) problems_.pop_back();
            const auto message =
                fmt::format("The steps wait for each other in more than {} ways", max_edges);
            complain({{},
                      "steps",
                      0,
                      message,
                      "Add a step that waits for many steps, and for which many steps wait."});
            return std::move(plan_);
        }
        if (!sort()) return std::move(plan_);
        place_failing_exits();
        for (std::size_t i = 0; i < plan_.steps.size(); ++i) check_entries(i);
        (void)sort();
        measure();
        check_producers();
        settle_results();
        return std::move(plan_);
    }

private:
    const WorkflowStep& step(std::size_t i) const { return workflow_.steps[i]; }

    void complain(PlanProblem problem)
    {
        if (problems_.size() < max_problems) problems_.push_back(std::move(problem));
    }

    std::string guess(std::string_view word, std::span<const std::string_view> known) const
    {
        return problems_.size() < max_guesses ? yaml::did_you_mean(word, known) : std::string();
    }

    void index_steps()
    {
        for (std::size_t i = 0; i < workflow_.steps.size(); ++i) {
            const auto& id = step(i).id;
            if (id.empty() || id.find('\0') != std::string::npos) {
                complain({i, "id", 0, "The step needs an id"});
                continue;
            }
            if (std::ranges::count(reserved, id) > 0)
                complain({i, "id", 0, fmt::format("'{}' cannot be the id of a step", id),
                          "The word is a target of gates."});
            const auto [first, fresh] = index_.emplace(id, i);
            if (!fresh)
                complain({i, "id", 0, fmt::format("There are two steps '{}'", id),
                          fmt::format("The other one is step {} of the file.", first->second + 1)});
        }
        for (const auto& [id, i] : index_) ids_.push_back(id);
        for (std::size_t i = 0; i < workflow_.steps.size(); ++i) check_part_id(i);
    }

    // The ids of steps for items are derived.
    void check_part_id(std::size_t i)
    {
        const std::string_view id = step(i).id;
        const auto dot = id.rfind('.');
        if (dot == id.npos || dot + 1 == id.size()) return;
        const auto found = index_.find(id.substr(0, dot));
        const bool is_number = id.find_first_not_of("0123456789", dot + 1) == id.npos;
        if (is_number && found != index_.end() && step(found->second).for_each)
            complain({i, "id", 0,
                      fmt::format("'{}' is the id of a step for an item of '{}'", id, found->first),
                      "Give this step another id."});
    }

    void find_creators()
    {
        for (std::size_t i = 0; i < workflow_.steps.size(); ++i) {
            const auto& creates = step(i).creates;
            if (step(i).for_each) {
                check_paths_of_items(i);
                continue;
            }
            for (std::size_t k = 0; k < creates.size(); ++k)
                add_creator(i, "creates", k, creates[k]);
            if (!step(i).results.empty()) add_creator(i, "results", 0, step(i).results);
        }
    }

    // No other step can require them: how many there are is not known.
    void check_paths_of_items(std::size_t i)
    {
        const auto& s = step(i);
        for (std::size_t k = 0; k < s.creates.size(); ++k)
            check_path_of_items(i, "creates", k, s.creates[k]);
        if (!s.results.empty()) check_path_of_items(i, "results", 0, s.results);
    }

    void check_path_of_items(std::size_t i, const std::string& field, std::size_t item,
                             const std::string& path)
    {
        if (!check_path(i, field, item, path)) return;
        const auto differs = [](const Placeholder& one) {
            return one.kind == Placeholder::Kind::item || one.kind == Placeholder::Kind::index;
        };
        if (std::ranges::none_of(placeholders_in(path), differs))
            complain({i, field, item, fmt::format("'{}' would be the same for each item", path),
                      "Use {index} or {item} in the path."});
        check_item_names(i, field, item, path);
    }

    void add_creator(std::size_t i, const std::string& field, std::size_t item,
                     const std::string& artifact)
    {
        const auto path = check_path(i, field, item, artifact);
        if (!path) return;
        auto& creators = creators_[*path];
        if (creators.size() == max_creators)
            complain({i, field, item,
                      fmt::format("More than {} steps create '{}'", max_creators, artifact)});
        else if (creators.empty() || creators.back() != i)
            creators.push_back(i);
    }

    std::optional<std::string> check_path(std::size_t at, const std::string& field,
                                          std::size_t item, const std::string& path)
    {
        auto normal = protocol::artifact_path(path);
        if (!normal)
            complain(
                {at, field, item, fmt::format("'{}' is not a path within the worktree", path),
                 "Give the path of a file or folder below the worktree, relative to it and without "
                 "'..'."});
        return normal;
    }

    void read_step(std::size_t i)
    {
        check_what_is_run(i);
        read_artifacts(i);
        if (step(i).for_each) read_items(i);
        read_list(i, "depends_on", step(i).depends_on, plan_.steps[i].depends_on);
        read_list(i, "optional_steps", step(i).optional_steps, plan_.steps[i].after);
        read_exits(i);
        plan_.steps[i].condition = compile(i, false, step(i).condition);
        if (step(i).gate) plan_.steps[i].gate = compile(i, true, step(i).gate->condition);
        for (const auto from : plan_.steps[i].depends_on) connect(from, i, "depends_on");
        for (const auto from : plan_.steps[i].after)
            connect(from, i, "a condition or optional step");
        if (step(i).retry) check_retry(i, *step(i).retry);
        if (step(i).cache) check_cache(i);
    }

    void check_cache(std::size_t i)
    {
        const auto& s = step(i);
        const bool has_tree = !s.worktree.empty();
        if (s.manual)
            complain({i, "cache", 0, "A manual step cannot be cached",
                      "A decision of a person holds for one run."});
        else if (is_closing(s))
            complain({i, "cache", 0, "The step runs nothing, so it cannot be cached"});
        else if (s.for_each && !s.for_each->best_by.empty())
            complain({i, "cache", 0, "A step with 'best_of' cannot be cached",
                      "Cache the steps before it."});
        else if (has_tree || workflow_.worktrees != WorktreeMode::step)
            complain({i, "cache", 0, "A cached step needs a worktree of its own",
                      has_tree ? "Remove 'worktree': in git, each step gets a new one."
                               : "Remove 'worktree' of the workflow, or 'cache'."});
    }

    void check_retry(std::optional<std::size_t> i, const RetryPolicy& retry)
    {
        if (retry.max_attempts < 1) complain({i, "retry", 0, "There must be at least one attempt"});
        for (std::size_t k = 0; k < retry.on.size(); ++k)
            if (!protocol::is_retry_class(retry.on[k])) report_class(i, k, retry.on[k]);
    }

    void report_class(std::optional<std::size_t> i, std::size_t item, const std::string& name)
    {
        const auto known = protocol::retry_classes();
        const auto meant = guess(name, known);
        complain({i, "retry.on", item, fmt::format("'{}' is not a class of failures", name),
                  fmt::format("{}{}Known are {}, exit_N and signal_N.", meant,
                              meant.empty() ? "" : " ", fmt::join(known, ", "))});
    }

    void read_items(std::size_t i)
    {
        const auto& items = *step(i).for_each;
        plan_.steps[i].has_items = true;
        if (items.max_items < 1 || items.max_items > max_items_limit)
            complain({i, "for_each.max_items", 0,
                      fmt::format("'max_items' must be from 1 to {}", max_items_limit)});
        if (step(i).manual && !items.best_by.empty())
            complain({i, "manual", 0, "A manual step cannot have 'best_of'",
                      "Use 'for_each' to ask about each item."});
        if (is_closing(step(i)))
            complain({i, "for_each", 0, "The step runs nothing, so it cannot run for each item"});
        if (!items.best_by.empty()) check_tries(i);
        check_agent_of_items(i);
        if (items.source.empty())
            check_items(i, items.list);
        else
            find_items(i, items.source);
    }

    // In one worktree, the work of the others would count, too.
    void check_tries(std::size_t i)
    {
        results_wanted_.insert(i);
        const bool has_tree = !step(i).worktree.empty();
        if (!has_tree && workflow_.worktrees == WorktreeMode::step) return;
        complain({i, has_tree ? "worktree" : "for_each", 0,
                  "With 'best_of', each try needs a worktree of its own",
                  has_tree ? "Remove 'worktree': in git, each try gets a new one."
                           : "Set 'worktrees: step' in the settings."});
    }

    // The agents and their models are known before anything runs.
    void check_agent_of_items(std::size_t i)
    {
        check_runner_of_items(i, "agent", step(i).agent);
        check_runner_of_items(i, "model", step(i).model);
    }

    void check_runner_of_items(std::size_t i, const std::string& field, std::string_view name)
    {
        const auto is_of_item = [](const Placeholder& one) {
            return one.kind == Placeholder::Kind::item;
        };
        if (std::ranges::none_of(placeholders_in(name), is_of_item)) return;
        if (!step(i).for_each->source.empty())
            complain(
                {i, field, 0,
                 fmt::format("The {} cannot come from a list that is read during the run", field),
                 "Name it, or let the file list the items."});
        else
            check_item_names(i, field, 0, name);
    }

    void check_model(std::size_t i)
    {
        const auto& s = step(i);
        const bool has_program = !s.argv.empty() || !s.shell.empty() || s.agent == "shell";
        if (has_program || s.manual)
            complain({i, "model", 0, "'model' has no effect without an agent",
                      "Remove it, or give the step a 'command' for an agent."});
        std::vector<std::string> names{s.model};
        if (s.for_each && !placeholders_in(s.model).empty()) {
            names.clear();
            for (const auto& item : s.for_each->list)
                names.push_back(agent_for_item(s.model, item));
        }
        for (const auto& name : names)
            if (!protocol::is_model_name(name) || !placeholders_in(name).empty()) {
                complain({i, "model", 0,
                          fmt::format("'{}' is not the name of a model", text::printable(name)),
                          "At most 200 bytes, without control characters and '-' at its "
                          "beginning. Only items of a list in the file are values here."});
                break;
            }
    }

    void check_items(std::size_t i, const boost::json::array& list)
    {
        const auto& items = *step(i).for_each;
        if (list.size() > items.max_items)
            complain({i, "for_each.items", list.size(),
                      fmt::format("There are {} items; at most {} are allowed", list.size(),
                                  items.max_items),
                      "Raise 'max_items', or divide the list."});
        for (std::size_t k = 0; k < list.size(); ++k)
            if (const auto flaw = flaw_of_item(list[k]); !flaw.empty())
                complain({i, "for_each.items", k, fmt::format("Item {} {}", k + 1, flaw)});
    }

    void find_items(std::size_t i, const std::string& source)
    {
        PlanProblem problem{i, "for_each.items", 0, {}, {}};
        ExpressionName name{parts_of_name(source), 0};
        const auto meaning = meaning_of(name, index_);
        if (meaning.kind == Meaning::Kind::parameter) {
            const auto* const value = workflow_.params.if_contains(meaning.rest);
            if (value == nullptr) {
                problem.message = fmt::format("There is no parameter '{}'", meaning.rest);
                problem.hint = parameter_hint(meaning.rest);
            } else if (!value->is_null() && !value->is_array()) {
                problem.message = fmt::format("The parameter '{}' is {}, not a list", meaning.rest,
                                              workflow::describe(*value));
            }
        } else if (meaning.kind == Meaning::Kind::step_result) {
            if (meaning.step == i)
                problem.message = "The step has not run when its items are read";
            else
                note_value(i, meaning, false);
        } else {
            problem.message = meaning.problem.empty()
                                  ? fmt::format("'{}' does not name a list", source)
                                  : meaning.problem;
            problem.hint =
                "Name results of a step (plan.results.tasks) or a parameter "
                "(params.files), or give a list.";
        }
        if (!problem.message.empty()) complain(std::move(problem));
    }

    // Names in items of the file are known.
    void check_item_names(std::size_t i, const std::string& field, std::size_t item,
                          std::string_view text)
    {
        if (!step(i).for_each || !step(i).for_each->source.empty()) return;
        for (const auto& one : placeholders_in(text)) {
            if (one.kind != Placeholder::Kind::item) continue;
            const auto& list = step(i).for_each->list;
            for (std::size_t k = 0; k < list.size(); ++k) {
                if (value_in_item(list[k], one.path.parts) != nullptr) continue;
                complain({i, field, item,
                          fmt::format("Item {} has no '{}'", k + 1, one.path.text()),
                          "All items need the values that the step uses.", false, one.path.offset});
                break;
            }
        }
    }

    void check_what_is_run(std::size_t i)
    {
        const auto& s = step(i);
        for (const auto& [metric, name] : s.threshold_params) check_threshold(i, metric, name);
        if (!s.uses.empty() || s.used) return check_uses(i);
        const int ways = int(!s.command.empty()) + int(!s.argv.empty()) + int(!s.action.empty());
        if (ways == 0 && !s.manual)
            complain(
                {i, s.agent.empty() ? "id" : "agent", 0, "The step has nothing to run",
                 "Give it an 'agent' and an 'action', a 'command', an 'argv', or a file that it "
                 "'uses'."});
        if (s.manual) check_manual(i);
        if (ways > 1)
            complain({i, s.argv.empty() ? "command" : "argv", 0,
                      "Only one of 'action', 'command' and 'argv' can be given"});
        if (!s.argv.empty() && s.argv.front().empty())
            complain({i, "argv", 0, "The program's name is empty"});
        if (!s.action.empty() && s.agent.empty())
            complain({i, "action", 0, "An 'action' needs an 'agent'"});
        if (s.action.empty() && !s.params.empty())
            complain({i, "params", 0, "'params' has no effect",
                      "They are flags of the command that is built from an agent and an action.",
                      true});
        check_shell(i);
        if (!s.model.empty()) check_model(i);
        check_placeholders(i, "command", 0, s.command, runs_script(i));
        const auto script = s.manual ? WordRange{} : script_in(s.argv);
        for (std::size_t k = 0; k < s.argv.size(); ++k)
            check_placeholders(i, "argv", k, s.argv[k],
                               script.contains(k) || (k == 0 && !s.manual));
        check_params(i);
        check_variables(i, s.env);
    }

    void check_params(std::size_t i)
    {
        for (const auto& [name, value] : step(i).params)
            if (value.is_string())
                check_placeholders(i, fmt::format("params.{}", std::string_view(name)), 0,
                                   std::string_view(value.get_string()));
    }

    // Another workflow is the step's work.
    void check_uses(std::size_t i)
    {
        const auto& s = step(i);
        check_fields_beside_uses(i);
        check_params(i);
        check_variables(i, s.env);
        if (workflow_.worktrees == WorktreeMode::workflow)
            complain({i, "uses", 0,
                      "With 'worktree: workflow', a step cannot use a workflow: its steps would "
                      "need the one worktree of the run",
                      "Use 'worktree: step'. The used workflow may have 'worktree: workflow'."});
        if (s.uses.empty() || !s.used)
            return complain({i, "uses", 0, "The workflow that the step uses is missing"});
        plan_.steps[i].command_waits = true;
        check_params_of_used(i);
    }

    void check_fields_beside_uses(std::size_t i)
    {
        const auto& s = step(i);
        const std::pair<std::string_view, bool> fields[]{
            {"agent", !s.agent.empty()},
            {"action", !s.action.empty()},
            {"command", !s.command.empty()},
            {"argv", !s.argv.empty()},
            {"shell", !s.shell.empty()},
            {"manual", s.manual.has_value()},
            {"worktree", !s.worktree.empty()},
            {"working_directory", !s.working_directory.empty()},
            {"env_refs", !s.env_refs.empty()},
            {"idempotent", s.idempotent},
            {"retry_from", s.retry_from_clean},
            {"commit", s.commit.has_value()},
            {"retry", s.retry.has_value()},
            {"cache", s.cache},
            {"model", !s.model.empty()},
            {"metadata.max_cost", s.max_cost > 0},
            {"metadata.max_tokens", s.max_tokens > 0}};
        for (const auto& [field, is_set] : fields)
            if (is_set)
                complain({i, std::string(field), 0,
                          fmt::format("'{}' and 'uses' exclude each other", field),
                          fmt::format("Give '{}' to steps of '{}'.", field, s.uses)});
    }

    void check_params_of_used(std::size_t i)
    {
        const auto& s = step(i);
        const auto& declared = s.used->params;
        ParamNames by_agents;
        for (const auto& [key, value] : s.params) {
            const std::string name(key);
            check_param_of_used(i, name, value);
            const auto* const text = value.if_string();
            if (text != nullptr && is_by_agent(i, *text)) by_agents.insert(name);
        }
        for (const auto& [name, standard] : declared) {
            const auto* const given = s.params.if_contains(name);
            if (standard.is_null() && (given == nullptr || given->is_null()))
                complain({i, s.params.empty() ? "uses" : "params", 0,
                          fmt::format("The parameter '{}' of '{}' must be given",
                                      std::string_view(name), s.uses),
                          "It has no default: give it below 'params'."});
        }
        if (const auto problem = problem_of_used(*s.used, by_agents); !problem.empty())
            complain({i, by_agents.empty() ? "uses" : "params", 0,
                      fmt::format("In '{}', {}", s.uses, problem)});
    }

    void check_param_of_used(std::size_t i, const std::string& name,
                             const boost::json::value& value)
    {
        const auto& s = step(i);
        const auto& declared = s.used->params;
        const auto field = "params." + name;
        const auto* const standard = declared.if_contains(name);
        if (standard == nullptr && name != "prompt") {
            std::vector<std::string_view> known{"prompt"};
            for (const auto& member : declared) known.push_back(member.key());
            complain({i, field, 0,
                      fmt::format("The workflow '{}' has no parameter '{}'", s.uses, name),
                      guess(name, known)});
            return;
        }
        const auto flaw =
            flaw_of_param(value, standard != nullptr ? *standard : boost::json::value());
        if (!flaw.empty())
            complain(
                {i, field, 0, fmt::format("The parameter '{}' of '{}' {}", name, s.uses, flaw)});
    }

    // The parameters of the workflow may have come from an agent, too.
    bool is_by_agent(std::size_t i, std::string_view text) const
    {
        return has_agent_text(text, items_are_by_agent(i)) ||
               std::ranges::any_of(placeholders_in(text), [this](const Placeholder& one) {
                   return one.kind == Placeholder::Kind::parameter && by_agents_.contains(one.name);
               });
    }

    bool items_are_by_agent(std::size_t i) const
    {
        constexpr std::string_view params = "params.";
        const auto& items = step(i).for_each;
        if (!items) return false;
        const std::string_view source = items->source;
        return has_items_of_agent(step(i)) ||
               (source.starts_with(params) && by_agents_.contains(source.substr(params.size())));
    }

    /// The first problem of a workflow, whose file has none without texts of agents.
    std::string problem_of_used(const Workflow& workflow, const ParamNames& by_agents)
    {
        // It may be known from a place that is less deep.
        if (depth_ + uses_depth(workflow, used_.depths) > max_uses_depth)
            return fmt::format("a step uses a workflow: more than {} are one within the other",
                               max_uses_depth);
        const auto [known, is_new] = used_.known.try_emplace({&workflow, by_agents});
        auto& problem = known->second;
        if (!is_new) return problem;
        if (used_.known.size() > max_used)
            return problem = "steps use workflows with too many different parameters";
        std::vector<PlanProblem> problems;
        (void)Planner(workflow, problems, used_, by_agents, depth_ + 1).make();
        auto sentences = sentences_for(workflow, problems);
        if (!sentences.empty()) problem = std::move(sentences.front());
        return problem;
    }

    void check_shell(std::size_t i)
    {
        const auto& s = step(i);
        if (!s.shell.empty() && s.command.empty())
            complain({i, "shell", 0, "A 'shell' needs a 'command', which it runs as a script"});
        if (!s.shell.empty() && s.shell.front().empty())
            complain({i, "shell", 0, "The program's name is empty"});
        if (!s.shell.empty() && !s.agent.empty() && s.agent != "shell")
            complain({i, "shell", 0, "The step has an 'agent', too",
                      "A shell runs the command without one: remove one of them."});
        if (!s.working_directory.empty())
            (void)check_path(i, "working_directory", 0, s.working_directory);
    }

    void check_variables(std::optional<std::size_t> i,
                         const std::map<std::string, std::string>& variables)
    {
        for (const auto& [name, value] : variables) {
            const auto field = fmt::format("env.{}", name);
            if (!protocol::is_variable_name(name))
                complain({i, field, 0, fmt::format("'{}' is not the name of a variable", name),
                          "Letters, digits and '_', no digit first."});
            else if (name.starts_with("AUTOEXEC_"))
                complain({i, field, 0, fmt::format("The variable '{}' cannot be set", name),
                          "Names that begin with AUTOEXEC_ are those of autoexec itself."});
            if (value.find('\0') != std::string::npos)
                complain({i, field, 0, "The value contains a NUL character"});
            if (i)
                check_placeholders(*i, field, 0, value);
            else
                check_common_value(field, value);
        }
    }

    // Of a variable of all steps.
    void check_common_value(const std::string& field, std::string_view text)
    {
        for (const auto& one : placeholders_in(text)) {
            PlanProblem problem{{}, field, 0, {}, {}, false, one.path.offset};
            if (one.kind == Placeholder::Kind::step) {
                problem.message = "A variable of all steps cannot have the value of a step";
                problem.hint = "Set it in the 'env' of the steps that need it.";
            } else if (one.kind == Placeholder::Kind::parameter && !is_parameter(one.name)) {
                problem.message = fmt::format("There is no parameter '{}'", one.name);
                problem.hint = parameter_hint(one.name);
            }
            if (!problem.message.empty()) complain(std::move(problem));
        }
    }

    void check_group()
    {
        for (const auto& one : placeholders_in(workflow_.concurrency.group)) {
            PlanProblem problem{{}, "concurrency.group", 0, {}, {}, false, one.path.offset};
            if (one.kind != Placeholder::Kind::parameter) {
                problem.message = "The name of a group can only have the values of parameters";
                problem.hint = "It must be known before the run starts: {params.NAME}.";
            } else if (!is_parameter(one.name)) {
                problem.message = fmt::format("There is no parameter '{}'", one.name);
                problem.hint = parameter_hint(one.name);
            }
            if (!problem.message.empty()) complain(std::move(problem));
        }
    }

    void check_threshold(std::size_t i, const std::string& metric, const std::string& name)
    {
        const auto field = fmt::format("scoring.thresholds.{}_min", metric);
        const auto* const value = workflow_.params.if_contains(name);
        if (value == nullptr)
            complain({i, field, 0, fmt::format("There is no parameter '{}'", name),
                      parameter_hint(name)});
        else if (!value->is_null() && !value->is_number())
            complain({i, field, 0,
                      fmt::format("The parameter '{}' is {}; a threshold requires a number", name,
                                  workflow::describe(*value))});
    }

    void check_manual(std::size_t i)
    {
        const auto& s = step(i);
        if (s.timeout)
            complain({i, "timeout", 0, "'timeout' limits attempts, of which a manual step has none",
                      "Limit how long it waits: 'manual: {until: 2d}'."});
        if (s.retry) complain({i, "retry", 0, "A manual step is not retried", {}, true});
        check_item_names(i, "manual.by", 0, s.manual->by);
        if (s.manual->approved_at_deadline && !s.manual->until)
            complain({i,
                      "manual.on_deadline",
                      0,
                      "'on_deadline' has no effect without 'until'",
                      {},
                      true});
    }

    void check_placeholders(std::size_t i, const std::string& field, std::size_t item,
                            std::string_view text, bool is_script = false)
    {
        check_item_names(i, field, item, text);
        for (const auto& one : placeholders_in(text)) {
            PlanProblem problem{i, field, item, {}, {}, false, one.path.offset};
            const bool is_of_item =
                one.kind == Placeholder::Kind::item || one.kind == Placeholder::Kind::index;
            if (is_of_item && !step(i).for_each) continue;
            plan_.steps[i].command_waits |= one.kind != Placeholder::Kind::parameter;
            const bool differs =
                one.kind == Placeholder::Kind::run || one.kind == Placeholder::Kind::worktree;
            if (differs && step(i).cache)
                complain({i,
                          field,
                          item,
                          "'cache' has no effect, because this value differs in each run",
                          {},
                          true,
                          one.path.offset});
            if (one.kind == Placeholder::Kind::item && is_script && items_are_by_agent(i))
                refuse_in_script("item", problem);
            if (one.kind == Placeholder::Kind::feedback && is_script)
                refuse_in_script("gate.feedback", problem);
            if (one.kind == Placeholder::Kind::parameter && is_script &&
                by_agents_.contains(one.name))
                refuse_in_script("params." + one.name, problem);
            if (one.kind == Placeholder::Kind::step)
                check_step_value(one, problem, is_script);
            else if (one.kind == Placeholder::Kind::parameter && !is_parameter(one.name)) {
                problem.message = fmt::format("There is no parameter '{}'", one.name);
                problem.hint = parameter_hint(one.name);
            }
            if (!problem.message.empty()) complain(std::move(problem));
        }
    }

    // What an agent wrote is data: it is a word or a variable, and never part of a script.
    void check_step_value(const Placeholder& one, PlanProblem& problem, bool is_script)
    {
        const auto i = *problem.step;
        const auto meaning = meaning_of(one.path, index_);
        const bool is_field = meaning.kind == Meaning::Kind::step_field;
        const bool is_output = is_field && meaning.field == StepField::output;
        if (!is_field && meaning.kind != Meaning::Kind::step_result) {
            problem.message = meaning.problem;
            problem.hint = meaning.hint;
            if (problem.hint.empty() && one.path.parts.size() > 1)
                problem.hint = guess(one.path.parts[1], ids_);
        } else if (meaning.step == i) {
            problem.message = "The step has not run when its command is made";
        } else if (is_script && (is_output || !is_field)) {
            refuse_in_script(one.path.text(), problem);
        } else if (!is_field || is_of_one(meaning, problem.message, problem.hint)) {
            note_value(i, meaning, is_output);
        }
    }

    static void refuse_in_script(const std::string& name, PlanProblem& problem)
    {
        const bool is_program = problem.field == "argv" && problem.item == 0;
        problem.message = fmt::format("'{}' cannot be part of {}", name,
                                      is_program ? "the name of a program" : "a script");
        problem.hint =
            is_program ? "An agent wrote it, and the program would run. Write the name into the "
                         "file, or give it by a parameter."
            : problem.field == "argv"
                ? "An agent wrote it, and the shell would run it. Pass it in 'env', or as a word "
                  "behind the script: [sh, -c, 'make \"$1\"', sh, \"{item}\"]."
                : "An agent wrote it, and the shell would run it. Pass it in 'env' or as a word of "
                  "'argv', or name the 'agent' that gets the command.";
    }

    // An agent gets its command as one word, and never without being named.
    bool runs_script(std::size_t i) const
    {
        const auto& s = step(i);
        const bool names_shell =
            s.for_each && std::ranges::any_of(s.for_each->list, [&s](const auto& item) {
                return agent_for_item(s.agent, item) == "shell";
            });
        return !s.manual &&
               (s.agent.empty() || s.agent == "shell" || !s.shell.empty() || names_shell);
    }

    // Without the step's success, there is no such value.
    void note_value(std::size_t i, const Meaning& meaning, bool is_output)
    {
        const bool is_result = meaning.kind == Meaning::Kind::step_result;
        if (is_result) results_wanted_.insert(meaning.step);
        plan_.steps[meaning.step].output_used |= is_output;
        auto& waits = plan_.steps[i];
        (is_result || is_output ? waits.depends_on : waits.after).push_back(meaning.step);
    }

    // Every workflow has `prompt`: the original's command line sets it.
    bool is_parameter(std::string_view name) const
    {
        return workflow_.params.contains(name) || name == "prompt";
    }
    std::string parameter_hint(std::string_view name) const
    {
        std::vector<std::string_view> known{"prompt"};
        for (const auto& member : workflow_.params) known.push_back(member.key());
        auto hint = guess(name, known);
        return hint.empty() ? "Declare it, with a default or null, below 'params' of the workflow."
                            : hint;
    }

    void read_artifacts(std::size_t i)
    {
        const auto& needs = step(i).needs;
        for (std::size_t k = 0; k < needs.size(); ++k) {
            const auto path = check_path(i, "requires", k, needs[k]);
            if (!path) continue;
            const auto found = creators_.find(*path);
            if (found == creators_.end()) {
                plan_.steps[i].from_repository.push_back(*path);
                continue;
            }
            ArtifactNeed need{*path, creators_for(i, found->second)};
            if (need.creators.empty()) {
                complain({i, "requires", k,
                          fmt::format("The step requires '{}', which only it creates itself",
                                      needs[k])});
                continue;
            }
            for (const auto from : need.creators) connect(from, i, fmt::format("'{}'", *path));
            plan_.steps[i].artifacts.push_back(std::move(need));
        }
    }

    // A later step that creates an artifact again updates it; steps before that one require the
    // first.
    static std::vector<std::size_t> creators_for(std::size_t i, const std::vector<std::size_t>& all)
    {
        std::vector<std::size_t> chosen(all.begin(), std::ranges::lower_bound(all, i));
        if (chosen.empty())
            std::ranges::copy_if(all, std::back_inserter(chosen),
                                 [i](std::size_t from) { return from != i; });
        return chosen;
    }

    std::optional<std::size_t> find_step(std::size_t at, const std::string& field, std::size_t item,
                                         const std::string& id)
    {
        const auto found = index_.find(id);
        if (found != index_.end()) return found->second;
        complain({at, field, item, fmt::format("There is no step '{}'", id), guess(id, ids_)});
        return std::nullopt;
    }

    void read_list(std::size_t i, const std::string& field, const std::vector<std::string>& names,
                   std::vector<std::size_t>& to)
    {
        for (std::size_t k = 0; k < names.size(); ++k) {
            const auto found = find_step(i, field, k, names[k]);
            if (found && *found == i)
                complain({i, field, k, "The step waits for itself"});
            else if (found)
                to.push_back(*found);
        }
    }

    void read_exits(std::size_t i)
    {
        const auto& s = step(i);
        auto& p = plan_.steps[i];
        std::optional<std::size_t> next;
        if (!s.next.empty()) next = find_step(i, "next", 0, s.next);
        p.pass_to = next;
        if (s.gate && s.for_each)
            check_gate_of_items(i);
        else if (s.gate)
            read_gate_targets(i, next);
        if (p.pass_to) enter(i, *p.pass_to, Exit::pass);
    }

    void read_gate_targets(std::size_t i, std::optional<std::size_t> next)
    {
        const auto& gate = *step(i).gate;
        auto& p = plan_.steps[i];
        p.has_gate = true;
        p.max_rounds = gate.max_rounds.value_or(workflow_.max_rounds);
        if (p.max_rounds < 1)
            complain({i, "gate.max_rounds", 0, "There must be at least one round"});
        if (gate.on_pass.kind == Kind::step)
            p.pass_to = find_target(i, "gate.on_pass", gate.on_pass);
        else if (gate.on_pass.kind == Kind::end)
            p.pass_to.reset();
        else if (gate.on_pass.kind != Kind::next)
            complain({i, "gate.on_pass", 0, "A gate that passes continues or ends the workflow",
                      "Invert the condition, and use 'on_fail'."});
        std::optional<std::size_t> target;
        if (gate.on_fail.kind == Kind::step)
            target = find_target(i, "gate.on_fail", gate.on_fail);
        else if (gate.on_fail.kind == Kind::again)
            target = i;
        else if (gate.on_fail.kind == Kind::next)
            target = next;
        if (target) fail_targets_.emplace_back(i, *target);
        if (next && next != p.pass_to && next != target)
            complain({i, "next", 0, "The gate selects another step: 'next' has no effect",
                      "Remove it, or use 'on_pass: next'.", true});
    }

    // What has ended, or waits for the end, is not judged from another phase.
    std::optional<std::size_t> find_target(std::size_t i, const std::string& field,
                                           const GateTarget& gate)
    {
        const auto target = find_step(i, field, 0, gate.step);
        if (!target || step(*target).phase == step(i).phase) return target;
        complain({i, field, 0,
                  fmt::format("'{}' is in another part of the workflow", step(*target).id),
                  "A gate leads to steps of its own part: 'steps', 'on_failure' or 'finally'."});
        return std::nullopt;
    }

    // Each item has the gate.
    void check_gate_of_items(std::size_t i)
    {
        const auto& gate = *step(i).gate;
        auto& p = plan_.steps[i];
        p.max_rounds = gate.max_rounds.value_or(workflow_.max_rounds);
        if (p.max_rounds < 1)
            complain({i, "gate.max_rounds", 0, "There must be at least one round"});
        const auto* const hint =
            "Such a gate judges each item. Give a later step the gate that judges all.";
        if (gate.on_pass.kind != Kind::next)
            complain(
                {i, "gate.on_pass", 0, "Where 'for_each' is, a gate that passes continues", hint});
        if (gate.on_fail.kind != Kind::again && gate.on_fail.kind != Kind::fail)
            complain({i, "gate.on_fail", 0, "Where 'for_each' is, 'on_fail' is 'retry' or 'fail'",
                      hint});
        p.output_used |= gate.on_fail.kind == Kind::again;  // as feedback
    }

    void enter(std::size_t from, std::size_t to, Exit by)
    {
        const std::string why = by == Exit::fail                          ? "on_fail"
                                : step(from).gate && !step(from).for_each ? "on_pass"
                                                                          : "next";
        if (from == to)
            return complain(
                {from, (step(from).gate ? "gate." : "") + why, 0, "The step leads to itself"});
        plan_.steps[to].entries.push_back({from, by});
        connect(from, to, why);
    }

    // Several dependencies of a step on another one are one edge.
    void connect(std::size_t from, std::size_t to, std::string why)
    {
        if (edges_ > max_edges) return;  // already reported
        if (followers_[from].emplace(to, std::move(why)).second) ++edges_;
    }

    Expression compile(std::size_t i, bool in_gate, const std::string& text)
    {
        if (text.empty()) return {};
        const auto scope = [&](const ExpressionName& name, ExpressionProblem& problem) {
            return type_of(i, name, in_gate, problem);
        };
        ExpressionProblem problem;
        auto compiled = Expression::compile(text, scope, problem);
        if (!compiled) {
            complain({i, in_gate ? "gate.condition" : "condition", 0, problem.message, problem.hint,
                      false, problem.offset});
            return {};
        }
        for (const auto& name : compiled->names()) note_use(i, in_gate, meaning_of(name, index_));
        return *std::move(compiled);
    }

    std::optional<NameType> type_of(std::size_t i, const ExpressionName& name, bool in_gate,
                                    ExpressionProblem& problem) const
    {
        const auto meaning = meaning_of(name, index_);
        if (meaning.kind == Meaning::Kind::parameter)
            return type_of_parameter(meaning.rest, problem);
        const bool is_of_run =
            meaning.kind == Meaning::Kind::run || meaning.kind == Meaning::Kind::worktree;
        if (is_of_run) return NameType{ValueType::text};
        if (meaning.kind == Meaning::Kind::step_field) {
            const bool is_own = in_gate && meaning.step == i;
            if (!is_own && !is_of_one(meaning, problem.message, problem.hint)) return std::nullopt;
            return type_of_field(meaning.field);
        }
        if (meaning.kind == Meaning::Kind::step_result) return NameType{};
        const bool names_step = !meaning.problem.empty();
        if (in_gate && !names_step)
            return NameType{is_scoring_passed(name) ? ValueType::boolean : ValueType::any};
        problem.message = meaning.problem;
        problem.hint = meaning.hint;
        if (problem.hint.empty() && name.parts.size() > std::size_t{names_step})
            problem.hint = guess(name.parts[names_step], ids_);
        if (problem.hint.empty() && !names_step)
            problem.hint =
                "Known are steps.ID.outcome and the like, params.NAME, and exists(\"PATH\").";
        return std::nullopt;
    }

    // The steps for items have these fields one by one.
    bool is_of_one(const Meaning& meaning, std::string& message, std::string& hint) const
    {
        const auto& s = step(meaning.step);
        if (!s.uses.empty() && meaning.field != StepField::outcome &&
            meaning.field != StepField::round) {
            message = fmt::format("'{}' uses a workflow, and has no command with this", s.id);
            hint = "Of a step with 'uses', use outcome, round or results.NAME.";
            return false;
        }
        if (!s.for_each || meaning.field == StepField::outcome || meaning.field == StepField::round)
            return true;
        message = fmt::format("'{}' has this for each of its items", s.id);
        hint = "Of a step with 'for_each', use outcome, round or results.NAME.";
        return false;
    }

    std::optional<NameType> type_of_parameter(const std::string& name,
                                              ExpressionProblem& problem) const
    {
        if (!is_parameter(name)) {
            problem.message = fmt::format("There is no parameter '{}'", name);
            problem.hint = parameter_hint(name);
            return std::nullopt;
        }
        const auto* const value = workflow_.params.if_contains(name);
        if (value == nullptr) return NameType{ValueType::text};
        return NameType{workflow::type_of(*value).value_or(ValueType::any)};
    }

    void note_use(std::size_t i, bool in_gate, const Meaning& meaning)
    {
        if (meaning.kind == Meaning::Kind::parameter || meaning.kind == Meaning::Kind::run ||
            meaning.kind == Meaning::Kind::worktree)
            return;
        const bool is_own = meaning.kind == Meaning::Kind::other;
        const auto of = is_own ? i : meaning.step;
        if (meaning.kind != Meaning::Kind::step_field) results_wanted_.insert(of);
        plan_.steps[of].output_used |=
            meaning.kind == Meaning::Kind::step_field && meaning.field == StepField::output;
        if (of != i)
            plan_.steps[i].after.push_back(of);
        else if (!in_gate)
            complain({i, "condition", 0, "The step has not run when its condition is evaluated",
                      "To judge its result, use a gate."});
    }

    // A closing step without dependencies comes last.
    void close()
    {
        std::vector<bool> waits(followers_.size());
        for (const auto& all : followers_)
            for (const auto& [to, why] : all) waits[to] = true;
        for (std::size_t i = 0; i < followers_.size(); ++i) {
            if (!is_closing(step(i)) || waits[i] || !followers_[i].empty()) continue;
            for (std::size_t from = 0; from < followers_.size(); ++from) {
                if (from == i || is_closing(step(from))) continue;
                plan_.steps[i].after.push_back(from);
                connect(from, i, "the end");
            }
        }
    }

    // A phase waits for the last steps of those before it: these have waited for all others.
    void order_phases()
    {
        std::vector<bool> leads_on(followers_.size());
        for (std::size_t i = 0; i < followers_.size(); ++i)
            for (const auto& [to, why] : followers_[i]) {
                leads_on[i] = leads_on[i] || step(to).phase <= step(i).phase;
                if (step(to).phase < step(i).phase) report_phase(i, to);
            }
        for (std::size_t i = 0; i < followers_.size(); ++i) {
            if (step(i).phase == StepPhase::main) continue;
            for (std::size_t from = 0; from < followers_.size(); ++from) {
                if (step(from).phase >= step(i).phase || leads_on[from]) continue;
                plan_.steps[i].after.push_back(from);
                connect(from, i, "the phases");
            }
        }
    }

    void report_phase(std::size_t from, std::size_t to)
    {
        complain(
            {to, "id", 0,
             fmt::format("The step waits for '{}', which runs in a later phase", step(from).id),
             "First run the steps, then those of 'on_failure', then those of 'finally'."});
    }

    /// False, with a problem, if steps wait for each other in a cycle.
    bool sort()
    {
        std::vector<std::size_t> waits(followers_.size(), 0);
        for (const auto& all : followers_)
            for (const auto& [to, why] : all) ++waits[to];
        std::set<std::size_t> ready;
        for (std::size_t i = 0; i < waits.size(); ++i)
            if (waits[i] == 0) ready.insert(i);
        plan_.order.clear();
        while (!ready.empty()) {
            const auto i = *ready.begin();
            ready.erase(ready.begin());
            plan_.order.push_back(i);
            for (const auto& [to, why] : followers_[i])
                if (--waits[to] == 0) ready.insert(to);
        }
        if (plan_.order.size() == followers_.size()) return true;
        report_ring(waits);
        return false;
    }

    // Each unsorted step has an unsorted predecessor, so following them must reach a cycle.
    void report_ring(const std::vector<std::size_t>& waits)
    {
        std::vector<std::size_t> back(waits.size(), waits.size());
        for (std::size_t from = 0; from < waits.size(); ++from)
            for (const auto& [to, why] : followers_[from])
                if (waits[from] > 0 && waits[to] > 0 && back[to] == waits.size()) back[to] = from;
        std::size_t at = 0;
        while (waits[at] == 0) ++at;
        for (std::size_t n = 0; n < waits.size(); ++n) at = back[at];  // now within the cycle
        std::vector<std::size_t> ring{at};
        for (auto i = back[at]; i != at; i = back[i]) ring.push_back(i);
        std::reverse(ring.begin(), ring.end());
        std::rotate(ring.begin(), std::min_element(ring.begin(), ring.end()), ring.end());

        std::string shown = step(ring.front()).id;
        for (std::size_t k = 0; k < ring.size(); ++k) {
            const auto to = ring[(k + 1) % ring.size()];
            shown += fmt::format(" → {} ({})", step(to).id, followers_[ring[k]].at(to));
        }
        complain({ring.front(), "id", 0, "These steps wait for each other: " + shown,
                  "Only a gate's 'on_fail' can lead back to an earlier step."});
    }

    // The target of a failing gate comes after it, unless the gate waits for the target.
    void place_failing_exits()
    {
        for (const auto& [i, target] : fail_targets_) {
            if (target == i || leads(target, i)) {
                plan_.steps[i].back_to = target;
                plan_.steps[i].output_used = true;  // as feedback
                continue;
            }
            plan_.steps[i].fail_to = target;
            enter(i, target, Exit::fail);
            if (target < i)
                complain({i, "gate.on_fail", 0,
                          fmt::format("'{}' does not lead to this step, so the gate does not send "
                                      "back to it, but on",
                                      step(target).id),
                          "To go back, let this step wait for it, by 'depends_on' for example.",
                          true});
        }
    }

    bool leads(std::size_t from, std::size_t to) const
    {
        std::vector<bool> seen(followers_.size());
        std::vector<std::size_t> open{from};
        while (!open.empty()) {
            const auto i = open.back();
            open.pop_back();
            if (i == to) return true;
            if (seen[i]) continue;
            seen[i] = true;
            for (const auto& [next, why] : followers_[i]) open.push_back(next);
        }
        return false;
    }

    void check_entries(std::size_t i)
    {
        if (step(i).need != StepNeed::conditional || !plan_.steps[i].entries.empty()) return;
        const bool sent_back_to = std::ranges::count(plan_.steps, i, &PlanStep::back_to) > 0;
        complain({i, "condition", 0,
                  sent_back_to ? "Only a gate that sends back leads to this conditional step"
                               : "Nothing leads to this conditional step: it would never run",
                  "Name it with 'next', 'on_pass' or 'on_fail' of an earlier step, or give the "
                  "condition as an expression."});
    }

    void measure()
    {
        const auto count = plan_.steps.size();
        std::vector<std::size_t> before(count, count);
        for (const auto i : plan_.order) {
            for (const auto& [to, why] : followers_[i]) {
                auto& p = plan_.steps[to];
                p.waits_for.push_back(i);
                if (p.level > plan_.steps[i].level) continue;
                p.level = plan_.steps[i].level + 1;
                before[to] = i;
            }
        }
        for (auto& p : plan_.steps) std::sort(p.waits_for.begin(), p.waits_for.end());
        reach();
        const auto last =
            std::max_element(plan_.steps.begin(), plan_.steps.end(),
                             [](const auto& a, const auto& b) { return a.level < b.level; });
        for (auto i = static_cast<std::size_t>(last - plan_.steps.begin()); i < count;
             i = before[i])
            plan_.longest_chain.insert(plan_.longest_chain.begin(), i);
    }

    // As bit sets: there may be hundreds of thousands of paths.
    void reach()
    {
        constexpr std::size_t width = 64;
        const auto count = plan_.steps.size();
        const auto words = (count + width - 1) / width;
        std::vector<std::uint64_t> all(count * words);
        for (auto it = plan_.order.rbegin(); it != plan_.order.rend(); ++it) {
            auto* const mine = &all[*it * words];
            for (const auto& [to, why] : followers_[*it]) {
                const auto* const further = &all[to * words];
                for (std::size_t k = 0; k < words; ++k) mine[k] |= further[k];
                mine[to / width] |= std::uint64_t{1} << (to % width);
            }
            auto& leads_to = plan_.steps[*it].leads_to;
            leads_to.resize(count);
            for (std::size_t k = 0; k < count; ++k)
                leads_to[k] = (mine[k / width] >> (k % width) & 1) != 0;
        }
    }

    // Which of two versions of an artifact a step gets must not depend on timing. Steps that may be
    // skipped are checked when they have run.
    void check_producers()
    {
        const auto certain = steps_that_run();
        for (const auto& [path, creators] : creators_)
            for (std::size_t b = 1; b < creators.size(); ++b)
                for (std::size_t a = 0; a < b; ++a) {
                    const auto first = creators[a];
                    const auto second = creators[b];
                    const bool apart = step(first).worktree != step(second).worktree;
                    const bool ordered =
                        plan_.steps[first].leads_to[second] || plan_.steps[second].leads_to[first];
                    if (apart || ordered || !certain[first] || !certain[second]) continue;
                    report_producers(path, first, second);
                    break;
                }
    }

    void report_producers(const std::string& path, std::size_t first, std::size_t second)
    {
        const auto& creates = step(second).creates;
        const auto found = std::find_if(creates.begin(), creates.end(), [&](const auto& created) {
            return protocol::artifact_path(created) == path;
        });
        const bool by_results = found == creates.end();
        complain({second, by_results ? "results" : "creates",
                  by_results ? 0 : static_cast<std::size_t>(found - creates.begin()),
                  fmt::format("'{}' is created by '{}', too, and neither waits for the other", path,
                              step(first).id),
                  "Make one depend on the other, or use different paths."});
    }

    /// The steps that no condition and no gate can skip.
    [[nodiscard]] std::vector<bool> steps_that_run() const
    {
        std::vector<bool> certain(plan_.steps.size());
        for (const auto i : plan_.order) {
            const auto& p = plan_.steps[i];
            certain[i] = p.entries.empty() && step(i).condition.empty() &&
                         step(i).need != StepNeed::conditional &&
                         std::all_of(p.waits_for.begin(), p.waits_for.end(),
                                     [&](std::size_t from) { return certain[from]; });
        }
        return certain;
    }

    void settle_results()
    {
        std::vector<bool> is_required(plan_.steps.size());
        for (const auto& p : plan_.steps)
            for (const auto& need : p.artifacts)
                for (const auto creator : need.creators) is_required[creator] = true;
        for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
            auto& p = plan_.steps[i];
            const auto& s = step(i);
            p.results = s.results;
            if (p.results.empty() && results_wanted_.contains(i)) {
                p.results = fmt::format("reports/{}{}.json", text::file_name_of(s.id),
                                        s.for_each ? ".{index}" : "");
                const bool by_gate = s.gate && !s.gate->condition.empty();
                complain({i, by_gate ? "gate.condition" : "id", 0,
                          fmt::format("No 'results' file is named: '{}' is read", p.results),
                          "Name the JSON file that the step writes: 'results: FILE'.", true});
            }
            p.require_artifacts = s.require_artifacts.value_or(is_required[i]);
        }
    }

    const Workflow& workflow_;
    std::vector<PlanProblem>& problems_;
    UsedProblems& used_;
    ParamNames by_agents_;
    std::size_t depth_;
    Plan plan_;
    StepIndex index_;
    std::vector<std::string_view> ids_;
    std::map<std::string, std::vector<std::size_t>> creators_;       // by artifact
    std::vector<std::map<std::size_t, std::string>> followers_;      // the steps that wait, and why
    std::vector<std::pair<std::size_t, std::size_t>> fail_targets_;  // of the gate of a step
    std::set<std::size_t> results_wanted_;
    std::size_t edges_ = 0;
};

}  // namespace

Plan make_plan(const Workflow& workflow, std::vector<PlanProblem>& problems)
{
    UsedProblems used;
    return Planner(workflow, problems, used).make();
}

std::size_t uses_depth(const Workflow& workflow, UsedDepths& known)
{
    if (const auto at = known.find(&workflow); at != known.end()) return at->second;
    std::size_t deepest = 0;
    for (const auto& step : workflow.steps)
        if (step.used) deepest = std::max(deepest, uses_depth(*step.used, known));
    return known[&workflow] = deepest + 1;
}

std::vector<std::string> sentences_for(const Workflow& workflow,
                                       const std::vector<PlanProblem>& problems)
{
    std::vector<std::string> sentences;
    for (const auto& problem : problems) {
        if (problem.warning) continue;
        std::string where = problem.field;
        if (std::ranges::count(lists, where) > 0) where += fmt::format("[{}]", problem.item + 1);
        if (problem.step) {
            const auto& id = workflow.steps[*problem.step].id;
            const auto name = id.empty() ? std::to_string(*problem.step + 1) : "'" + id + "'";
            where = fmt::format("step {}, {}", name, where);
        }
        const auto hint = problem.hint.empty() ? "" : fmt::format(" ({})", problem.hint);
        sentences.push_back(fmt::format("{}: {}{}", where, problem.message, hint));
    }
    return sentences;
}

bool is_closing(const WorkflowStep& step)
{
    return !step.manual && step.agent == "orchestrator" &&
           (step.action == "finalize" || step.action == "complete");
}

std::optional<std::size_t> index_of(const Workflow& workflow, std::string_view id)
{
    const auto found = std::ranges::find(workflow.steps, id, &WorkflowStep::id);
    if (found == workflow.steps.end()) return std::nullopt;
    return static_cast<std::size_t>(found - workflow.steps.begin());
}

}  // namespace autoexec::workflow

namespace autoexec::inline v1 {

std::vector<std::string> check_workflow(const Workflow& workflow)
{
    std::vector<workflow::PlanProblem> problems;
    (void)workflow::make_plan(workflow, problems);
    return workflow::sentences_for(workflow, problems);
}

}  // namespace autoexec::inline v1
