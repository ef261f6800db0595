#include "support/guide.hpp"
#include "support/project.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <cstdlib>
#include <set>

/// What `doc/getting-started.md` and `doc/guides.md` show is so.
///
/// A comment `<!-- repository: PROGRAMS -->` or `<!-- project: PROGRAMS -->` begins a repository,
/// in which these programs of agents are installed; in a project, `autoexec init` has been run. The
/// YAML blocks below it are files, and the `$` lines are run in their order. What they show must be
/// printed; `<!-- exit CODE -->` is about the next of them.

using namespace autoexec::test;

namespace {

/// Whether a person repeats a command until it shows what is expected.
bool is_look(const std::string& command)
{
    return command.starts_with("autoexec status") ||
           command.starts_with("autoexec workflow status") ||
           command.starts_with("autoexec workflow list");
}

/// The repository of a guide's reader, who has a shell.
class Reader : public Project {
public:
    explicit Reader(const std::string& marker)
    {
        for (const auto* agent : {"claude", "codex"})
            if (contains(marker, agent)) install("agent", agent);
        install("make", "make");
        for (const auto* program : {"systemctl", "systemd-analyze", "loginctl"})
            install("systemctl", program);
        set("PATH", programs().string() + ":" AUTOEXEC_BINARY_DIR ":" + std::getenv("PATH"));
        set("STAGE", stage().string());
        set("XDG_CONFIG_HOME", (stage() / "config").string());
        write_file(folder_file(), root().string() + "\n");
        if (!marker.starts_with("project")) return;
        Words init = {"init", "--no-workflow"};
        for (const auto* agent : {"claude", "codex"})
            if (contains(marker, agent)) init.insert(init.end(), {"--preset", agent});
        const auto ended = run(init);
        REQUIRE_MESSAGE(ended.code == 0, ended.err);
        commit("Set up autoexec");
    }

    void follow(const Example& example)
    {
        if (!example.text.empty()) add_file(example);
        for (const auto& transcript : example.transcripts) carry_out(transcript);
    }

    [[nodiscard]] fs::path stage() const { return root().parent_path() / "stage"; }
    /// Each call of an agent: the step and the round.
    [[nodiscard]] Words calls() const { return lines_of(read_file(stage() / "calls")); }

private:
    [[nodiscard]] fs::path programs() const { return stage() / "bin"; }
    [[nodiscard]] fs::path folder_file() const { return stage() / "folder"; }

    void install(const char* script, const char* name) const
    {
        write_file(programs() / name,
                   read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "test/data/guides" / script));
        fs::permissions(programs() / name, fs::perms::owner_all);
    }

    void add_file(const Example& example) const
    {
        const auto file = example.file();
        write(file, example.text);
        if (contains(example.text, "steps:")) {
            const auto ended = run({"workflow", "validate", "--strict", file});
            CHECK_MESSAGE(ended.code == 0, ended.err);
        }
        commit("Add " + file);
    }

    void carry_out(const Transcript& transcript)
    {
        CAPTURE(transcript.command);
        Ended ended;
        Words missing;
        const auto is_as_shown = [&] {
            ended = shell(shown_.translated(transcript.command));
            missing = shown_.missing(transcript, ended);
            return missing.empty();
        };
        if (is_look(transcript.command))
            (void)eventually(is_as_shown);
        else
            (void)is_as_shown();
        std::string lines;
        for (const auto& line : missing) lines += line + "\n";
        REQUIRE_MESSAGE(lines.empty(), "is not printed, but\n", ended.out, ended.err);
        REQUIRE_MESSAGE(ended.code == transcript.code, ended.out, ended.err);
        CHECK_MESSAGE(!contains(ended.err, "warning: "), ended.err);
    }

    /// In the folder in which the command before has ended.
    [[nodiscard]] Ended shell(const std::string& command) const
    {
        const auto file = "'" + folder_file().string() + "'";
        const auto script = "cd \"$(cat " + file + ")\" || exit\n" + command + "\ncode=$?; pwd >" +
                            file + "; exit $code";
        Program program(Start{{"/bin/sh", "-c", script}, root(), environment()});
        return program.wait();
    }

    Comparison shown_;
};

using Guide = std::vector<Example>;

std::vector<Guide> guides_in(const std::string& page)
{
    std::vector<Guide> guides;
    for (auto& example : read_page(page)) {
        if (opens_project(example.marker)) guides.emplace_back();
        REQUIRE_MESSAGE(!guides.empty(), page, ":", example.line, ": in no repository");
        guides.back().push_back(std::move(example));
    }
    return guides;
}

bool has_file(const Guide& guide, std::string_view name)
{
    return std::any_of(guide.begin(), guide.end(),
                       [&](const Example& example) { return example.file() == name; });
}

bool runs(const Guide& guide, const std::string& file)
{
    for (const auto& example : guide) {
        if (contains(example.text, "uses: " + file + "\n")) return true;
        for (const auto& transcript : example.transcripts)
            if (contains(transcript.command, "autoexec workflow run " + file) &&
                !contains(transcript.command, "--dry-run"))
                return true;
    }
    return false;
}

constexpr auto scene = "port.yaml";

void follow_all(const std::string& page)
{
    for (const auto& guide : guides_in(page)) {
        if (has_file(guide, scene)) continue;  // it has a test of its own
        Reader reader(guide.front().marker);
        for (const auto& example : guide) {
            CAPTURE(page);
            CAPTURE(example.line);
            if (contains(example.text, "steps:")) CHECK(runs(guide, example.file()));
            reader.follow(example);
        }
    }
}

double sum_of(const Words& numbers)
{
    double sum = 0;
    for (const auto& number : numbers) sum += std::stod(number);
    return sum;
}

}  // namespace

TEST_SUITE_BEGIN("guides");

TEST_CASE("the first ten minutes are as the page describes")
{
    CHECK(guides_in("getting-started.md").size() == 1);
    follow_all("getting-started.md");
}

TEST_CASE("each guide works as it is described")
{
    CHECK(guides_in("guides.md").size() >= 9);
    follow_all("guides.md");
}

TEST_CASE(
    "twenty tasks with reviews come together, are approved after a kill, and cost what they cost")
{
    const auto guides = guides_in("guides.md");
    const auto guide = std::find_if(guides.begin(), guides.end(),
                                    [](const Guide& one) { return has_file(one, scene); });
    REQUIRE(guide != guides.end());
    Reader reader(guide->front().marker);
    for (const auto& example : *guide) {
        CHECK(lines_of(example.text).size() < 40);
        reader.follow(example);
    }

    const auto run = objects_of(reader.run({"workflow", "status", "--json"}).out).at(0);
    CHECK(text_at(run, "state") == "completed");
    const auto branch = text_at(run, "branch");
    int reviewed = 0;
    int sent_back = 0;
    for (const auto& value : run.at("steps").as_array()) {
        const auto& step = value.as_object();
        CAPTURE(text_at(step, "id"));
        CHECK(text_at(step, "state") == "completed");
        if (text_at(step, "id") == "accept")
            CHECK(text_at(step.at("answer").as_object(), "reason") == "All twenty are reviewed.");
        if (!text_at(step, "id").starts_with("port.")) continue;
        ++reviewed;
        if (step.at("round") == 2) ++sent_back;
        reader.git({"merge-base", "--is-ancestor", text_at(step, "commit"), branch});
    }
    CHECK(reviewed == 20);
    CHECK(sent_back == 5);

    // The files of all are there, of those that were sent back the second version.
    const auto ports = lines_of(reader.git({"ls-tree", "-r", "--name-only", branch, "port/"}));
    CHECK(ports.size() == 20);
    int mended = 0;
    for (const auto& port : ports)
        if (contains(reader.git({"show", branch + ":" + port}), "Fixed: ")) ++mended;
    CHECK(mended == 5);
    CHECK(reader.git({"show", branch + ":NOTES.md"}) == "20 ports\n");
    CHECK(read_file(reader.root() / "NOTES.md") == "20 ports\n");

    // Nothing ran twice, although the executor was killed.
    const auto calls = reader.calls();
    CHECK(calls.size() == 20 + 5 + 2);
    CHECK(std::set<std::string>(calls.begin(), calls.end()).size() == calls.size());

    const auto journal =
        read_file(reader.records() / "workflow-state" / (text_at(run, "run_id") + ".jsonl"));
    int starts = 0;
    int approvals = 0;
    for (const auto& line : lines_of(journal)) {
        if (contains(line, R"("event": "run_started")")) ++starts;
        if (contains(line, R"("event": "step_executed", "step": "accept")") &&
            contains(line, R"("decision": "approved")"))
            ++approvals;
    }
    CHECK(starts == 2);
    CHECK(approvals == 1);

    const auto cost = sum_of(lines_of(read_file(reader.stage() / "costs")));
    CHECK(cost == doctest::Approx(0.10 + 25 * 0.05 + 0.02));
    CHECK(run.at("usage").as_object().at("cost_usd").as_double() == doctest::Approx(cost));
    CHECK(contains(read_file(reader.root() / "report.md"), ", $1.37 |\n"));
}

TEST_SUITE_END();
