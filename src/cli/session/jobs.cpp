#include "cli/session/jobs.hpp"

#include "cli/flags.hpp"
#include "cli/session/project.hpp"
#include "git/repository.hpp"
#include "protocol/command_file.hpp"
#include "protocol/expected_artifacts.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json/value_to.hpp>

#include <glob.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t line_limit = 1024 * 1024;

bool names_no_program(const std::vector<std::string>& argv)
{
    return !argv.empty() && argv.front().empty();
}

// The executor and git also reject all of this, but later, and once per command.
void check(const CommandJob& job, const std::string& where, std::vector<std::string>& problems)
{
    const auto complain = [&problems](std::string problem) {
        if (std::find(problems.begin(), problems.end(), problem) == problems.end())
            problems.push_back(std::move(problem));
    };
    const auto name = name_of_new_worktree(job);
    if (!job.new_worktree.empty() && !git::is_branch_part(name))
        complain(fmt::format(
            "{}invalid worktree name '{}': use at most 80 letters, digits, '.', '_' and "
            "'-', with no '-' or '.' at either end or twice in a row",
            where, text::printable(name)));
    for (const auto& variable : job.request.env_refs)
        if (const auto end = variable.find('='); variable.empty() || end != variable.npos)
            complain(
                fmt::format("{}invalid variable '{}'; use its name only, without '=' and a value",
                            where, text::printable(variable.substr(0, end))));
    for (const auto& path : job.request.expected_artifacts) {
        // Where a new worktree will be is not known yet.
        const bool is_open = !job.new_worktree.empty() && fs::path(path).is_absolute();
        if (!is_open && !protocol::artifact_path(path, job.request.worktree))
            complain(fmt::format(
                "{}the expected file '{}' is outside the worktree: use the path of a file or "
                "folder in it, without '..'",
                where, text::printable(path)));
    }
}

void apply_defaults(const JobOptions& o, CommandRequest& r)
{
    r.timeout = o.timeout;
    r.expected_artifacts = o.expect;
    r.workflow_id = if_given(o.workflow_id);
    r.step_id = if_given(o.step_id);
    r.idempotent = o.idempotent;
    r.agent = o.agent;
    r.env_refs = o.env_refs;
    r.priority = o.priority;
    if (o.retry) r.max_attempts = *o.retry + 1;
}

std::optional<int> attempts_in(const json::value& value)
{
    const auto retries = json::try_value_to<std::size_t>(value);
    if (!value.is_int64() || !retries || *retries > max_retries) return std::nullopt;
    return static_cast<int>(*retries) + 1;
}

std::optional<int> priority_in(const json::value& value)
{
    const auto priority = json::try_value_to<int>(value);
    return value.is_int64() && priority && std::abs(*priority) <= max_priority
               ? std::optional(*priority)
               : std::nullopt;
}

std::optional<std::chrono::milliseconds> duration_in(const json::value& value)
{
    auto duration = value.is_string()   ? text::parse_duration(value.get_string())
                    : value.is_number() ? text::parse_duration(text::dump_line(value))
                                        : std::nullopt;
    return duration && duration->count() > 0 ? duration : std::nullopt;
}

// The limits are those of the settings.
std::optional<double> cost_in(const json::value& value)
{
    const auto cost = json::try_value_to<double>(value);
    return cost && *cost >= 0 && *cost <= 1e6 ? std::optional(*cost) : std::nullopt;
}

std::optional<std::int64_t> tokens_in(const json::value& value)
{
    const auto tokens = json::try_value_to<std::int64_t>(value);
    return tokens && *tokens >= 0 && *tokens <= 1'000'000'000'000'000 ? std::optional(*tokens)
                                                                      : std::nullopt;
}

// One line of a list, key by key.
class LineReader {
public:
    LineReader(const json::object& object, const std::string& where,
               std::vector<std::string>& problems)
        : object_(object), where_(where), problems_(problems)
    {}

    /// `convert` returns nothing for a value that is not what is `wanted`.
    template <class T, class Convert>
    void read(const char* key, T& to, const char* wanted, Convert convert)
    {
        known_[key] = true;
        const auto* const value = object_.if_contains(key);
        if (value == nullptr) return;
        if (auto converted = convert(*value))
            to = *std::move(converted);
        else
            problems_.push_back(fmt::format("{}: '{}' must be {}", where_, key, wanted));
    }
    template <class T>
    void read(const char* key, T& to, const char* wanted)
    {
        read(key, to, wanted,
             [](const json::value& value) { return json::try_value_to<T>(value); });
    }
    void text(const char* key, std::string& to) { read(key, to, "a string"); }
    void optional_text(const char* key, std::optional<std::string>& to)
    {
        std::string value = to.value_or("");
        text(key, value);
        to = if_given(value);
    }
    void texts(const char* key, std::vector<std::string>& to)
    {
        read(key, to, "a list of strings");
    }
    void finish()
    {
        for (const auto& item : object_)
            if (!known_.contains(item.key()))
                problems_.push_back(
                    fmt::format("{}: unknown key '{}'", where_, text::printable(item.key())));
    }

private:
    const json::object& object_;
    json::object known_;
    const std::string& where_;
    std::vector<std::string>& problems_;
};

std::optional<CommandJob> parse_line(std::string_view line, const std::string& where,
                                     const JobOptions& defaults, std::vector<std::string>& problems)
{
    // Commands must be exact, and reading would repair the text.
    if (text::valid_utf8(line) != line) {
        problems.push_back(where + ": the line is not UTF-8");
        return std::nullopt;
    }
    const auto reading = text::read_json_object(line);
    if (reading.kind != text::JsonReading::Kind::valid) {
        problems.push_back(where + ": " + reading.problem);
        return std::nullopt;
    }
    for (const auto& dropped : reading.warnings) problems.push_back(where + ": " + dropped);
    CommandRequest r(std::string{}, fs::path{});
    apply_defaults(defaults, r);
    std::string worktree;
    std::string new_worktree;
    LineReader reader(reading.object, where, problems);
    reader.text("command", r.command);
    reader.texts("argv", r.argv);
    reader.text("worktree", worktree);
    reader.text("new_worktree", new_worktree);
    reader.optional_text("workflow_id", r.workflow_id);
    reader.optional_text("step_id", r.step_id);
    reader.texts("expect", r.expected_artifacts);
    reader.read("timeout", r.timeout, "a duration such as \"90s\"", duration_in);
    reader.read("retry", r.max_attempts, "a number from 0 to 1000", attempts_in);
    reader.read("idempotent", r.idempotent, "true or false");
    reader.read("max_cost", r.max_cost, "a number of USD from 0 to 1000000", cost_in);
    reader.read("max_tokens", r.max_tokens, "a whole number from 0 to 10^15", tokens_in);
    reader.text("agent", r.agent);
    reader.texts("env", r.env_refs);
    reader.read("priority", r.priority, "a whole number from -1000 to 1000", priority_in);
    reader.finish();
    if (r.command.empty() && !r.argv.empty()) r.command = text::quote_words(r.argv);
    if (protocol::is_blank_command(r.command))
        problems.push_back(where + (r.command.empty() ? ": 'command' or 'argv' is required"
                                                      : ": 'command' is blank"));
    if (names_no_program(r.argv))
        problems.push_back(where + ": the program name in 'argv' is empty");
    if (!worktree.empty() && !new_worktree.empty())
        problems.push_back(where + ": 'worktree' and 'new_worktree' cannot be combined");
    r.worktree = fs::absolute(worktree.empty() ? "." : worktree).lexically_normal();
    r.require_artifacts = !r.expected_artifacts.empty();
    CommandJob job(std::move(r));
    job.new_worktree = std::move(new_worktree);
    check(job, where + ": ", problems);
    return job;
}

std::string read_list(const std::string& name, std::vector<std::string>& problems)
{
    if (name == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
    std::ifstream in(name, std::ios::binary);
    if (!in || fs::is_directory(name)) {
        problems.push_back(fmt::format("cannot read {}", name));
        return {};
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

// A shell makes several words of `-w ../wt-*`. The options only take the first of them.
void take_worktrees(JobOptions& o, std::vector<std::string>& problems)
{
    const bool has_command = !o.command.empty() || !o.program.empty() || !o.list.empty();
    const std::size_t extra = o.words.size() - std::min<std::size_t>(o.words.size(), !has_command);
    if (o.worktrees.empty() || extra == 0) return;
    const auto is_folder = [](const std::string& word) {
        std::error_code ec;
        return fs::is_directory(word, ec);
    };
    const auto folders = std::stable_partition(o.words.begin(), o.words.end(),
                                               [&](const auto& word) { return !is_folder(word); });
    if (static_cast<std::size_t>(o.words.end() - folders) > extra) {
        problems.emplace_back(
            "each of the words may be a worktree; give the command with --command");
        return;
    }
    std::move(folders, o.words.end(), std::back_inserter(o.worktrees));
    o.words.erase(folders, o.words.end());
}

void take_command(JobOptions& o, std::vector<std::string>& problems)
{
    if (o.words.empty()) return;
    if (o.words.size() > 1)
        problems.push_back(fmt::format(
            "unexpected argument '{}'; quote a command of several words, or give a program after "
            "'--'",
            o.words[1]));
    else if (!o.command.empty())
        problems.emplace_back("the command is given twice");
    else
        o.command = std::move(o.words.front());
}

// A pattern in quotes, or one that the shell has left as it was.
void expand_patterns(std::vector<std::string>& worktrees, std::vector<std::string>& problems)
{
    std::vector<std::string> expanded;
    for (auto& tree : worktrees) {
        std::error_code ec;
        if (tree.find_first_of("*?[") == tree.npos || fs::exists(tree, ec)) {
            expanded.push_back(std::move(tree));
            continue;
        }
        glob_t found{};
        const auto before = expanded.size();
        if (::glob(tree.c_str(), GLOB_ONLYDIR, nullptr, &found) == 0)
            for (std::size_t i = 0; i < found.gl_pathc; ++i)
                if (fs::is_directory(found.gl_pathv[i], ec))
                    expanded.emplace_back(found.gl_pathv[i]);
        ::globfree(&found);
        if (expanded.size() == before)
            problems.push_back(fmt::format("no worktree matches '{}'", tree));
    }
    worktrees = std::move(expanded);
}

CommandRequest base_request(const JobOptions& o)
{
    CommandRequest r = o.program.empty() ? CommandRequest(o.command, fs::path{})
                                         : CommandRequest(o.program, fs::path{});
    apply_defaults(o, r);
    r.require_artifacts = !r.expected_artifacts.empty();
    return r;
}

}  // namespace

std::string name_of_new_worktree(const CommandJob& job)
{
    return job.new_worktree.substr(0, job.new_worktree.find('@'));
}

std::string name_of_own_worktree(const CommandJob& job)
{
    return job.new_worktree.empty() ? job.created_worktree : name_of_new_worktree(job);
}

std::string ref_of_new_worktree(const CommandJob& job)
{
    const auto at = job.new_worktree.find('@');
    return at == std::string::npos ? "HEAD" : job.new_worktree.substr(at + 1);
}

void add_job(CLI::App& app, JobOptions& o)
{
    app.add_option("command", o.words, "The command for the agent")->type_name("COMMAND");
    app.add_option("--command", o.command, "The same, also if it begins with '-': --command=TEXT")
        ->type_name("COMMAND");
    app.add_option("--list", o.list, "Read commands from a JSON Lines file, or from stdin with '-'")
        ->type_name("FILE");
    add_list(app, "-w,--worktree", o.worktrees, "DIR",
             "Run in this existing worktree, or those that match a pattern");
    add_list(app, "--new-worktree", o.new_worktrees, "NAME[@REF]",
             "Create a worktree with branch workflow/NAME at REF");
    add_duration(app, "--timeout", o.timeout, "Time limit for each attempt (default 1h)");
    add_list(app, "--expect", o.expect, "FILE", "Fail unless the command creates or changes FILE");
    add_count(
        app, "--retry", max_retries, [&o](std::size_t n) { o.retry = static_cast<int>(n); },
        "Retry at most N times (default 2)");
    app.add_flag("--idempotent", o.idempotent,
                 "The command is safe to run twice: also retry it after time-outs and failures");
    app.add_option("--agent", o.agent, "Use this agent or role of the agents file")
        ->type_name("NAME");
    add_list(app, "--env", o.env_refs, "VARIABLE", "Pass this environment variable to the command");
    app.add_option("--priority", o.priority,
                   "Start before commands of the project with a lower number (default 0)")
        ->type_name("N")
        ->check(CLI::Range(-max_priority, max_priority));
    app.add_option("--workflow-id", o.workflow_id, "Record this workflow id");
    app.add_option("--step-id", o.step_id, "Record this step id");
}

std::vector<CommandJob> parse_job_list(std::string_view text, const JobOptions& defaults,
                                       std::vector<std::string>& problems)
{
    std::vector<CommandJob> jobs;
    const std::string name = defaults.list == "-" ? "stdin" : defaults.list;
    for (int number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        const auto where = fmt::format("{}:{}", name, number);
        if (line.size() > line_limit) {
            problems.push_back(where + ": the line is longer than 1 MiB");
            continue;
        }
        if (auto job = parse_line(line, where, defaults, problems)) jobs.push_back(std::move(*job));
    }
    if (jobs.empty() && problems.empty()) problems.push_back(name + ": no commands found");
    return jobs;
}

std::vector<CommandJob> collect_jobs(const JobOptions& given, std::vector<std::string>& problems)
{
    auto o = given;
    take_worktrees(o, problems);
    take_command(o, problems);
    expand_patterns(o.worktrees, problems);
    if (!problems.empty()) return {};
    const int sources = int(!o.command.empty()) + int(!o.program.empty()) + int(!o.list.empty());
    if (sources != 1) {
        problems.emplace_back(sources == 0
                                  ? "nothing to run: give COMMAND, -- PROGRAM ARGS or --list FILE"
                                  : "COMMAND, -- PROGRAM ARGS and --list cannot be combined");
        return {};
    }
    if (names_no_program(o.program)) {
        problems.emplace_back("the program name after -- is empty");
        return {};
    }
    if (!o.command.empty() && protocol::is_blank_command(o.command)) {
        problems.emplace_back("the command is blank");
        return {};
    }
    if (!o.list.empty()) {
        if (!o.worktrees.empty() || !o.new_worktrees.empty())
            problems.emplace_back(
                "--list cannot be combined with worktree options; set the worktrees in the list");
        const auto text = read_list(o.list, problems);
        return problems.empty() ? parse_job_list(text, o, problems) : std::vector<CommandJob>{};
    }
    const auto is_empty = [](const std::string& text) { return text.empty(); };
    if (std::any_of(o.worktrees.begin(), o.worktrees.end(), is_empty) ||
        std::any_of(o.new_worktrees.begin(), o.new_worktrees.end(), is_empty)) {
        problems.emplace_back("a worktree name is empty");
        return {};
    }
    std::vector<CommandJob> jobs;
    for (const auto& tree : o.worktrees) {
        auto request = base_request(o);
        request.worktree = fs::absolute(tree).lexically_normal();
        jobs.emplace_back(std::move(request));
    }
    for (const auto& name : o.new_worktrees) {
        jobs.emplace_back(base_request(o));
        jobs.back().new_worktree = name;
    }
    if (jobs.empty()) {
        auto request = base_request(o);
        request.worktree = current_folder();
        jobs.emplace_back(std::move(request));
    }
    for (const auto& job : jobs) check(job, "", problems);
    return jobs;
}

}  // namespace autoexec::cli
