#include "autoexec/workflow.hpp"
#include "support/guide.hpp"
#include "support/project.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <utility>

/// What `doc/workflows.md` and `doc/cli.md` say of workflows is so.
///
/// Each YAML block of the guide stands below a comment: `<!-- run: completes -->` or `fails`,
/// `<!-- manual: completes -->`, `<!-- validate -->`, or `<!-- refused: PART OF THE MESSAGE -->`.
/// One below `<!-- file -->` is a file that the next one uses. The indented `$` lines below a block
/// are run after another, and what they show must be printed.

using namespace autoexec;
using namespace autoexec::test;

namespace {

/// The project of the guide's reader: a `make` that knows its targets, an agent `claude` that makes
/// what is expected of it and is content with itself more each time, and two more worktrees.
class GuideProject : public Project {
public:
    explicit GuideProject(const Example& example, const std::vector<Example>& used = {})
    {
        const auto stage = root().parent_path() / "stage";
        write_file(stage / "make", make_script);
        fs::permissions(stage / "make", fs::perms::owner_all);
        write_file(stage / "agent", agent_script);
        set("PATH", stage.string() + ":" AUTOEXEC_BINARY_DIR ":" + std::getenv("PATH"));
        write(example.file(), example.text);
        for (const auto& file : used) write(file.file(), file.text);
        if (contains(example.text, "agent: "))
            add_agent("claude",
                      "/bin/sh '" + (stage / "agent").string() + "' {command_file_path} {step_id}");
        if (contains(example.text, "codex")) add_agent("codex", "codex {command}");
        for (const auto* tree : {"linux", "arm"})
            if (contains(example.text, std::string("../") + tree)) worktree(tree);
    }

    [[nodiscard]] Start shell(const std::string& command) const
    {
        return Start{{"/bin/sh", "-c", command}, root(), environment()};
    }

    /// What a person does who looks what is to be done, does it, and says so: once of each step.
    void do_what_waits(std::set<std::string>& done) const
    {
        const auto ended = run({"workflow", "status", "--json"});
        if (ended.code != 0) return;  // it has not begun
        const auto runs = objects_of(ended.out);
        for (const auto& value : runs.front().at("steps").as_array()) {
            const auto& step = value.get_object();
            const bool waits = text_at(step, "state") == "waiting_manual";
            if (!waits || !done.insert(text_at(step, "id")).second) continue;
            if (step.at("waiting_for").is_object()) {
                const Words words = {"workflow", "approve", text_at(step, "id"), "--reason",
                                     "fine"};
                CHECK(run(words).code == 0);
                continue;
            }
            const fs::path tree = text_at(step, "worktree");
            const auto file = read_file(tree / ".cursor-skill-command.txt");
            const auto command = boost::json::parse(file).as_object();
            const auto& wanted = command.at("correlation").at("expected_artifacts").as_array();
            for (const auto& path : wanted)
                write_file(tree / std::string(path.as_string()), "made\n");
            CHECK(run({"workflow", "done", text_at(step, "id")}).code == 0);
        }
    }

private:
    static constexpr char make_script[] = R"sh(#!/bin/sh
stage=$(dirname "$0")
echo "$1" >>"$stage/made"
case $1 in
    '' | dist) mkdir -p build && date >build/app ;;
    fetch) [ "$(grep -c fetch "$stage/made")" -gt 2 ] ;;
    lint | bench) exit 1 ;;
    report) date >report.html ;;
    check) mkdir -p reports && echo '{"risk": "high", "open_findings": 0}' >reports/check.json ;;
esac
)sh";
    static constexpr char agent_script[] = R"sh(stage=$(dirname "$0")
echo "$2" >>"$stage/asked"
score=$((6 + $(grep -cxF -e "$2" "$stage/asked")))
sed -n '/"expected_artifacts"/,/]/s/^ *"\(.*\)",\{0,1\}$/\1/p' "$1" | while read -r path; do
    case $path in
        */) path=${path}made ;;
    esac
    mkdir -p "$(dirname "$path")"
    echo "{\"scores\": {\"overall\": $score, \"security\": 9}}" >"$path"
done
)sh";
};

void check_shown(const Transcript& transcript, const Ended& ended)
{
    for (const auto& line : Comparison().missing(transcript, ended))
        FAIL_CHECK(line, "\nis not printed, but\n", ended.out, ended.err);
}

bool is_run(const Transcript& transcript)
{
    return contains(transcript.command, "workflow run") &&
           !contains(transcript.command, "--dry-run");
}

Ended run_by_person(const GuideProject& project, const std::string& command)
{
    Program program(project.shell(command));
    std::set<std::string> done;
    REQUIRE(eventually([&] {
        project.do_what_waits(done);
        return program.ends_within(std::chrono::milliseconds(0));
    }));
    return program.wait();
}

Ended carry_out(const GuideProject& project, const Example& example, const std::string& command)
{
    if (example.marker.starts_with("manual:")) return run_by_person(project, command);
    Program program(project.shell(command));
    return program.wait();
}

void check_run(const GuideProject& project, const Example& example)
{
    auto transcripts = example.transcripts;
    if (std::none_of(transcripts.begin(), transcripts.end(), is_run))
        transcripts.push_back({"autoexec workflow run " + example.file(), {}});
    for (const auto& transcript : transcripts) {
        CAPTURE(transcript.command);
        const auto ended = carry_out(project, example, transcript.command);
        const bool fails = is_run(transcript) && example.marker.ends_with(": fails");
        CHECK_MESSAGE(ended.code == (fails ? 1 : 0), ended.out, ended.err);
        CHECK_MESSAGE(!contains(ended.err, "warning: "), ended.err);
        check_shown(transcript, ended);
    }
}

void check_example(const Example& example, const std::vector<Example>& used)
{
    constexpr std::string_view refused = "refused: ";
    const GuideProject project(example, used);
    const auto validated = project.run({"workflow", "validate", "--strict", example.file()});
    if (example.marker.starts_with(refused)) {
        CHECK(validated.code == 3);
        CHECK_MESSAGE(contains(validated.err, example.marker.substr(refused.size())),
                      validated.err);
        return;
    }
    CHECK_MESSAGE(validated.code == 0, validated.err);
    if (example.marker != "validate") check_run(project, example);
}

/// The rows of the table below a heading or another line that begins so, each its cells.
std::vector<Words> table_below(const std::string& page, std::string_view heading)
{
    std::vector<Words> rows;
    bool is_below = false;
    for (const auto& line : lines_of(read_file(documents / page))) {
        if (line.starts_with(heading)) is_below = true;
        if (!is_below) continue;
        if (!line.starts_with("|") || line.starts_with("|-")) {
            if (rows.size() > 1) break;
            continue;
        }
        std::istringstream in(line.substr(1));
        Words cells;
        for (std::string cell; std::getline(in, cell, '|');)
            cells.push_back(cell.substr(1, cell.size() - 2));
        rows.push_back(std::move(cells));
    }
    REQUIRE(rows.size() > 1);
    rows.erase(rows.begin());
    return rows;
}

/// What stands in backticks.
Words quoted_in(std::string_view text)
{
    Words found;
    for (auto begin = text.find('`'); begin != text.npos; begin = text.find('`')) {
        text.remove_prefix(begin + 1);
        const auto end = text.find('`');
        if (end == text.npos) break;
        found.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return found;
}

using Keys = std::set<std::string>;

/// All keys that the guide names of a workflow, or of a step, with dots.
Keys documented(std::string_view heading, std::string_view of)
{
    Keys keys;
    for (const auto& row : table_below("workflows.md", heading)) keys.insert(quoted_in(row[0])[0]);
    for (const auto& row : table_below("workflows.md", "### Known keys without effect")) {
        if (row[1] != of) continue;
        for (const auto& key : quoted_in(row[0])) keys.insert(key);
    }
    return keys;
}

/// Those right below one; `prefix` ends with a dot, or is empty.
Keys below(const Keys& keys, std::string_view prefix)
{
    Keys found;
    for (const auto& key : keys)
        if (key.starts_with(prefix))
            found.insert(key.substr(prefix.size(), key.find('.', prefix.size()) - prefix.size()));
    return found;
}

/// Every word in the sources of the reader that could be a key.
Keys candidates()
{
    Keys found;
    for (const auto* name : {"reader.cpp", "step_reader.cpp", "items_reader.cpp"}) {
        auto text = read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "src/workflow/definition" / name);
        std::replace(text.begin(), text.end(), '"', '`');
        for (const auto& word : quoted_in(text))
            if (!word.empty() &&
                word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") == word.npos)
                found.insert(word);
    }
    REQUIRE(found.contains("depends_on"));
    return found;
}

/// A place for keys in a workflow: what stands before and after them, and who is there already.
struct Place {
    std::string before;
    Keys there;
    std::string after = {};
};

std::vector<Diagnostic> diagnostics_of(const Place& place, const Keys& keys,
                                       const std::string& value)
{
    std::vector<Diagnostic> all;
    for (auto at = keys.begin(); at != keys.end();) {
        auto text = place.before;
        for (int n = 0; n < 40 && at != keys.end(); ++n, ++at)  // a hundred are told of at most
            if (!place.there.contains(*at)) text += ", " + *at + ": " + value;
        const auto loaded = parse_workflow(text + place.after + "\n", "w.yaml");
        all.insert(all.end(), loaded.errors.begin(), loaded.errors.end());
        all.insert(all.end(), loaded.warnings.begin(), loaded.warnings.end());
    }
    return all;
}

/// The names in messages that go on like this.
Keys named_in(const std::vector<Diagnostic>& diagnostics, std::string_view words)
{
    Keys found;
    for (const auto& d : diagnostics) {
        const auto at = d.message.find(words);
        if (at == d.message.npos) continue;
        const auto begin = at + words.size();
        found.insert(d.message.substr(begin, d.message.find('\'', begin) - begin));
    }
    return found;
}

/// Which of the candidates the reader knows there.
Keys known(const Place& place)
{
    const auto all = candidates();
    const auto unknown = named_in(diagnostics_of(place, all, "null"), "Unknown field '");
    Keys keys = place.there;
    for (const auto& key : all)
        if (!unknown.contains(key)) keys.insert(key);
    for (const auto& key : place.there) CHECK(!unknown.contains(key));
    return keys;
}

Place in_step(const std::string& keys, Keys there, const std::string& after = "}")
{
    return {"{id: w, steps: [{id: a, command: make, " + keys, std::move(there), after + "]}"};
}

Keys without(Keys keys, const std::string& key)
{
    keys.erase(key);
    return keys;
}

/// The section of a page from its heading to the next of the same rank.
std::string section(const std::string& page, const std::string& heading)
{
    const auto text = read_file(documents / page);
    const auto begin = text.find("\n" + heading + "\n");
    REQUIRE(begin != text.npos);
    const auto rank = heading.substr(0, heading.find(' ') + 1);
    return text.substr(begin, text.find("\n" + rank, begin + 1) - begin);
}

Keys options_of(const Project& project, const std::string& verb)
{
    Keys options;
    std::istringstream help(project.run({"workflow", verb, "--help"}).out);
    for (std::string line; std::getline(help, line);) {
        const auto at = line.find("--");
        if (at == line.npos || line.find_first_not_of(' ') > 2) continue;
        if (line.find_first_not_of(" -,abcdefghijklmnopqrstuvwxyz") < at) continue;
        auto names = line.substr(at, line.find(' ', at) - at);  // an option may have several
        for (auto comma = names.find(','); comma != names.npos; comma = names.find(',')) {
            options.insert(names.substr(0, comma));
            names.erase(0, comma + 1);
        }
        options.insert(names);
    }
    options.erase("--help");
    return options;
}

/// All words of a text that begin with two dashes.
Keys options_in(std::string_view text)
{
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz";
    Keys found;
    for (auto at = text.find("--"); at != text.npos; at = text.find("--")) {
        const bool begins = at == 0 || text[at - 1] != '-';
        text.remove_prefix(at);
        const auto end = text.find_first_not_of("-abcdefghijklmnopqrstuvwxyz");
        if (begins && text.size() > 2 && letters.find(text[2]) != letters.npos)
            found.emplace(text.substr(0, end));
        text.remove_prefix(std::min(end, text.size()));
    }
    return found;
}

Keys keys_of(const boost::json::object& object)
{
    Keys keys;
    for (const auto& member : object) keys.insert(member.key());
    return keys;
}

/// The first column of the table below a line.
Keys first_column(const std::string& page, std::string_view heading)
{
    Keys keys;
    for (const auto& row : table_below(page, heading))
        for (const auto& key : quoted_in(row[0])) keys.insert(key);
    return keys;
}

/// Whether the keys are among the words, in their order.
bool is_in_order(const boost::json::object& object, const Words& words)
{
    auto at = words.begin();
    for (const auto& member : object) {
        at = std::find(at, words.end(), std::string_view(member.key()));
        if (at == words.end()) return false;
    }
    return true;
}

}  // namespace

TEST_SUITE_BEGIN("workflow guide");

TEST_CASE("each workflow of the guide runs as the guide describes")
{
    const auto examples = read_page("workflows.md");
    CHECK(examples.size() >= 14);
    std::vector<Example> used;
    for (const auto& example : examples) {
        CAPTURE(example.line);
        CHECK_MESSAGE(!example.marker.empty(), "it says not what becomes of it");
        if (example.marker == "file")
            used.push_back(example);
        else
            check_example(example, std::exchange(used, {}));
    }
}

TEST_CASE("the workflow on the front page is valid")
{
    std::string text;
    for (const auto& line : lines_of(read_file(documents.parent_path() / "README.md"))) {
        const bool inside =
            line == "    id: feature" || (!text.empty() && line.starts_with("    "));
        if (inside)
            text += line.substr(4) + "\n";
        else if (!text.empty())
            break;
    }
    REQUIRE(!text.empty());
    const auto loaded = parse_workflow(text, "README.md");
    CHECK_MESSAGE(loaded.workflow, to_string(loaded.errors));
    CHECK_MESSAGE(loaded.warnings.empty(), to_string(loaded.warnings));
}

TEST_CASE("the guide names all keys that are read, and no other")
{
    const auto of_workflow = documented("### Keys of a workflow", "a workflow");
    const auto of_step = documented("### Keys of a step", "a step");

    const Place workflow{"workflow: {id: w, steps: [{id: a, command: make}]", {"id", "steps"}, "}"};
    CHECK(known(workflow) == below(of_workflow, ""));
    const Place settings{
        "{id: w, steps: [{id: a, command: make}], settings: {max_rounds: 1", {"max_rounds"}, "}}"};
    CHECK(known(settings) == below(of_workflow, "settings."));
    const Place loopback{
        "{id: w, steps: [{id: a, command: make}], settings: {loopback: {max_attempts: 1",
        {"max_attempts"},
        "}}}"};
    CHECK(known(loopback) == below(of_workflow, "settings.loopback."));

    const Place budget{
        "{id: w, steps: [{id: a, command: make}], budget: {max_cost: 1", {"max_cost"}, "}}"};
    CHECK(known(budget) == below(of_workflow, "budget."));
    const Place concurrency{
        "{id: w, steps: [{id: a, command: make}], concurrency: {group: g", {"group"}, "}}"};
    CHECK(known(concurrency) == below(of_workflow, "concurrency."));

    CHECK(known(in_step("name: A", {"id", "command", "name"})) == below(of_step, ""));
    CHECK(known(in_step("gate: {on_pass: end", {"on_pass"}, "}}")) == below(of_step, "gate."));
    CHECK(known(in_step("manual: {by: Ada", {"by"}, "}}")) == below(of_step, "manual."));
    CHECK(known(in_step("for_each: {items: [1]", {"items"}, "}}")) == below(of_step, "for_each."));
    CHECK(known(in_step("best_of: {count: 2", {"count"}, "}}")) == below(of_step, "best_of."));
    CHECK(known(in_step("retry: {max_attempts: 2", {"max_attempts"}, "}}")) ==
          below(of_step, "retry."));
    CHECK(known(in_step("scoring: {enabled: true", {"enabled"}, "}}")) ==
          below(of_step, "scoring."));
    CHECK(known(in_step("metadata: {retry: {enabled: true", {"enabled"}, "}}}")) ==
          below(of_step, "metadata.retry."));
}

TEST_CASE("the guide names all keys of free mappings that are read")
{
    // A value of the wrong type is only found where it is read.
    const auto read_in = [](const Place& place) {
        return named_in(diagnostics_of(place, candidates(), "[[1]]"), "Field '");
    };
    const auto of_workflow = documented("### Keys of a workflow", "a workflow");
    const Place workflow{
        "{id: w, steps: [{id: a, command: make}], metadata: {mine: 1", {"mine"}, "}}"};
    CHECK(read_in(workflow) == below(of_workflow, "metadata."));
    const auto of_step = documented("### Keys of a step", "a step");
    const auto step = in_step("metadata: {mine: 1", {"mine"}, "}}");
    CHECK(read_in(step) == without(below(of_step, "metadata."), "instruction"));
}

TEST_CASE("commands are built by the guide's table")
{
    const Project project;
    std::string text = "id: w\nsteps:\n";
    Words expected;
    const auto add = [&](const std::string& agent, const std::string& action,
                         const std::string& command) {
        text +=
            fmt::format("  - {{id: s{}, agent: {}, action: {}}}\n", expected.size(), agent, action);
        expected.push_back("@" + agent + " " + command);
    };
    for (const auto& row : table_below("workflows.md", "| agent | action |"))
        for (const auto& action : quoted_in(row[1]))
            add(quoted_in(row[0])[0], action, quoted_in(row[2])[0]);
    CHECK(expected.size() > 20);
    add("writer", "write_it_down", "write-it-down --prompt TEXT");
    text += "  - {id: i, agent: writer, action: note, metadata: {instruction: Be brief}}\n";
    expected.emplace_back("@writer note --prompt TEXT --instruction 'Be brief'");
    project.write("w.yaml", text);

    const auto shown = project.run({"workflow", "run", "w.yaml", "--dry-run", "--json", "--prompt",
                                    "TEXT", "--external-agent"});
    Words built;
    for (const auto& step : objects_of(shown.out)) built.push_back(text_at(step, "command"));
    CHECK_MESSAGE(built == expected, shown.err);
}

TEST_CASE("the page of the program names each option of the verbs about workflows, and no other")
{
    const Project project;
    Keys options;
    for (const auto* verb : {"new", "run", "resume", "rerun", "validate", "graph", "list", "status",
                             "report", "schedule", "cancel", "approve", "reject", "done", "fail"})
        options.merge(options_of(project, verb));
    CHECK(options.size() > 20);
    const auto named = options_in(section("cli.md", "## workflow"));
    for (const auto& option : options) CHECK_MESSAGE(named.contains(option), option);
    for (const auto& option : named) CHECK_MESSAGE(options.contains(option), option);
}

TEST_CASE("the page of the program lists the keys of the JSON output")
{
    Project project;
    project.write("w.yaml",
                  "id: w\n"
                  "steps:\n"
                  "  - id: a\n"
                  "    argv: ['true']\n"
                  "    gate: {condition: params.prompt == 'x' or a.round == 2, on_fail: retry}\n"
                  "  - {id: b, manual: {until: 1ms, on_deadline: approve}}\n"
                  "  - {id: c, uses: used.yaml}\n");
    project.write("used.yaml", "id: used\nsteps: [{id: z, argv: ['true']}]\n");
    const auto lines =
        objects_of(project.run({"workflow", "run", "w.yaml", "--json", "-p", "y"}).out);
    REQUIRE(lines.size() > 5);
    Keys of_events;
    for (const auto& line : lines)
        if (text_at(line, "event") != "result") of_events.merge(keys_of(line));
    CHECK(of_events == first_column("cli.md", "| key of a transition |"));
    CHECK(without(keys_of(lines.back()), "event") ==
          first_column("cli.md", "| key of the result |"));
    auto of_step = keys_of(lines.back().at("steps").at(0).as_object());
    for (const auto k : {1, 2}) of_step.merge(keys_of(lines.back().at("steps").at(k).as_object()));
    of_step.insert("queued_seconds");  // absent if it did not wait for a millisecond
    of_step.insert("cached_from");     // absent in place
    CHECK(of_step == first_column("cli.md", "| key of a step's result |"));

    const auto run = objects_of(project.run({"workflow", "status", "--json"}).out).at(0);
    const auto of_run = first_column("cli.md", "| key of a run |");
    const auto of_parent = without(without(of_run, "parent_run"), "parent_step");
    CHECK(keys_of(run) == of_parent);
    CHECK(keys_of(run.at("steps").at(2).as_object()) ==
          first_column("cli.md", "| key of its `steps` |"));
    const auto listed = objects_of(project.run({"workflow", "list", "--json"}).out);
    CHECK(keys_of(listed.at(0)) == without(of_parent, "steps"));
    CHECK(keys_of(listed.at(1)) == without(of_run, "steps"));

    const auto valid = objects_of(project.run({"workflow", "validate", "--json", "w.yaml"}).out);
    for (const auto& key : keys_of(valid.at(0)))
        CHECK(contains(section("cli.md", "## workflow"), "`" + key + "`"));
}

TEST_CASE("the page of the protocol names the keys of journals and markers, in their order")
{
    Project project;
    project.write(
        "w.yaml",
        "id: w\n"
        "steps:\n"
        "  - {id: a, command: exit 3, on_error: continue}\n"
        "  - id: b\n"
        "    command: echo >b\n"
        "    creates: [b]\n"
        "    gate: {condition: b.round == 2, on_fail: retry}\n"
        "  - {id: e, command: 'true {item}', for_each: [1, 2]}\n"
        "  - id: f\n"
        "    best_of: 2\n"
        "    command: echo '{\"score\":1}' >r-{index}.json\n"
        "    results: r-{index}.json\n"
        "  - {id: c, command: 'false', condition: a.exit_code == 4}\n"
        "  - {id: d, command: 'true', condition: c.exit_code == 0, on_error: continue}\n");
    CHECK(project.run({"workflow", "run", "w.yaml"}).code == 0);

    std::map<std::string, Words> keys;
    for (const auto& row : table_below("file-protocol.md", "| event | keys, in this order |")) {
        auto words = quoted_in(row[1]);
        words.insert(words.begin(), {"seq", "time", "event"});
        keys[quoted_in(row[0])[0]] = std::move(words);
    }
    Keys seen;
    const auto journal = Project::files_in(project.records() / "workflow-state").at(0);
    for (const auto& line : objects_of(read_file(journal))) {
        CAPTURE(boost::json::serialize(line));
        seen.insert(text_at(line, "event"));
        CHECK(is_in_order(line, keys[text_at(line, "event")]));
    }
    CHECK(seen.size() == keys.size() - 4);  // no manual step, resumption, retry or group

    Words of_markers;
    for (const auto& row : table_below("file-protocol.md", "| key | `DONE.json` |"))
        for (const auto& key : quoted_in(row[0])) of_markers.push_back(key);
    const auto markers = project.records() / "workflows/markers" / journal.stem();
    for (const auto* file : {"step-a/FAILED.json", "step-b/DONE.json", "step-d/FAILED.json"}) {
        const auto marker = boost::json::parse(read_file(markers / file)).as_object();
        CHECK_MESSAGE(is_in_order(marker, of_markers), file);
    }
    CHECK(Project::names_in(markers / "step-b") == Words{"DONE.json"});
    CHECK(!fs::exists(markers / "step-c"));
}

TEST_SUITE_END();
