#include "cli/top/dashboard.hpp"

#include "support/text.hpp"
#include "text/columns.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::cli;
using autoexec::test::contains;
using autoexec::test::Words;
using namespace std::chrono_literals;

namespace {

const auto start = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
const auto now = start + 65s;
constexpr Screen::Size usual_size{80, 24};

std::string id_of(int number)
{
    return fmt::format("0190f5fe-0000-7000-8000-0000{:08}", number);
}

ExecutionEntry execution(int number, ExecutionState state, std::string command = "make test")
{
    ExecutionEntry entry;
    entry.execution_id = id_of(number);
    entry.state = state;
    entry.command = std::move(command);
    entry.worktree = std::filesystem::current_path() / "tree";
    if (state == ExecutionState::queued) {
        entry.submitted_at = start;
        return entry;
    }
    entry.attempt_id = id_of(number + 1000);
    entry.attempt = 1;
    entry.started_at = start;
    return entry;
}

ExecutionEntry asking(int number, QuestionKind kind)
{
    auto entry = execution(number, ExecutionState::needs_input);
    Question question;
    question.kind = kind;
    question.id = "7";
    question.text = "Run the tests\nCommand: make test";
    question.options = {{"allow", "Allow once"}, {"always", "Always allow"}, {"deny", "Deny it"}};
    entry.waiting_for = question;
    return entry;
}

EndedExecutionEntry ended(int number, ExecutionStatus status)
{
    EndedExecutionEntry entry;
    entry.execution_id = id_of(number);
    entry.attempt_id = id_of(number + 1000);
    entry.attempt = 2;
    entry.status = status;
    entry.command = "build";
    entry.worktree = std::filesystem::current_path() / "tree";
    entry.started_at = start;
    entry.ended_at = start + 5s;
    entry.exit_code = 0;
    entry.reported = ReportedStatus::completed;
    entry.verified = Verification::partial;
    entry.missing_artifacts = {"report.md"};
    if (status == ExecutionStatus::failed) entry.error_message = "The report is missing.";
    return entry;
}

/// One of each kind.
ProjectState some_of_all()
{
    ProjectState state;
    state.executions = {execution(1, ExecutionState::running, "compile"),
                        asking(2, QuestionKind::permission),
                        execution(3, ExecutionState::interrupted, "lost"),
                        execution(4, ExecutionState::queued, "later")};
    state.ended = {ended(6, ExecutionStatus::completed), ended(5, ExecutionStatus::failed)};
    return state;
}

void press(Dashboard& dashboard, std::string_view bytes)
{
    KeyDecoder decoder;
    for (const auto& key : decoder.feed(bytes)) dashboard.press(key);
    for (const auto& key : decoder.finish()) dashboard.press(key);
}

/// The subcommand that the last of these keys asks for, in one line.
std::string subcommand_after(Dashboard& dashboard, std::string_view bytes)
{
    KeyDecoder decoder;
    std::string words;
    for (const auto& key : decoder.feed(bytes))
        words = autoexec::test::joined(dashboard.press(key).subcommand);
    return words;
}

Words text_of(Dashboard& dashboard, const Screen::Size& size = usual_size)
{
    Words lines;
    for (const auto& line : dashboard.draw(size, now).lines) lines.push_back(line.text);
    return lines;
}

bool shows(Dashboard& dashboard, std::string_view part, const Screen::Size& size = usual_size)
{
    const auto lines = text_of(dashboard, size);
    return std::ranges::any_of(lines, [&](const auto& line) { return contains(line, part); });
}

std::string selected_line(Dashboard& dashboard, const Screen::Size& size = usual_size)
{
    for (const auto& line : dashboard.draw(size, now).lines)
        if (line.style == Style::selected) return line.text;
    return {};
}

Dashboard dashboard_of(const ProjectState& state)
{
    Dashboard dashboard("project");
    dashboard.show(state);
    return dashboard;
}

}  // namespace

TEST_SUITE_BEGIN("dashboard");

TEST_CASE("what needs a person is first, then what fails, runs, waits and has ended")
{
    auto dashboard = dashboard_of(some_of_all());
    const auto lines = text_of(dashboard);
    const Words expected = {
        "project  1 needs you  2 failing  1 running  1 queued  1 ended",
        "",
        "Needs you (1)",
        "> input       00000002   1m05s     tree          Run the tests",
        "Failing (2)",
        "  interrupted 00000003   1m05s     tree          lost",
        "  failed      00000005    5.0s #2  tree          build  The report is missing.",
        "Running (1)",
        "  running     00000001   1m05s     tree          compile",
        "Queued (1)",
        "  queued      00000004   1m05s     tree          later",
        "Ended (1)",
        "  completed   00000006    5.0s #2  tree          build",
    };
    REQUIRE(lines.size() == 24);
    for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(lines[i].substr(0, expected[i].size()) == expected[i]);
}

TEST_CASE("what is not known yet is not shown as nothing")
{
    Dashboard dashboard("project");
    CHECK(text_of(dashboard)[0].starts_with("project  reading the project"));
    dashboard.show({});
    CHECK(text_of(dashboard)[0].starts_with("project  nothing runs"));
}

TEST_CASE("a narrow terminal shows the state, the id and the command")
{
    auto dashboard = dashboard_of(some_of_all());
    const Screen::Size narrow{40, 10};
    const auto lines = text_of(dashboard, narrow);
    REQUIRE(lines.size() == 10);
    CHECK(lines[3].starts_with("> input     00000002   1m05s Run the"));
    CHECK(lines[5] == "  interrup… 00000003   1m05s lost");
    const auto sent = redraw(nullptr, dashboard.draw(narrow, now), narrow, false);
    CHECK(std::ranges::count(sent, 'H') >= 10);
}

TEST_CASE("any size of the terminal can be drawn, in each of its views")
{
    for (const auto* const keys : {"", "\r", "\r\t", "?", "c", "/", "a", "aj\r"}) {
        auto dashboard = dashboard_of(some_of_all());
        dashboard.log().append(std::string(5000, 'x') + "\n\n");
        press(dashboard, keys);
        for (const std::size_t columns : {1, 2, 3, 10, 40, 79, 80, 500})
            for (const std::size_t rows : {1, 2, 3, 5, 10, 24, 100}) {
                const Screen::Size size{columns, rows};
                const auto frame = dashboard.draw(size, now);
                CHECK_FALSE(redraw(nullptr, frame, size, true).empty());
            }
    }
}

TEST_CASE("the selected line stays selected, wherever it moves")
{
    auto state = some_of_all();
    auto dashboard = dashboard_of(state);
    press(dashboard, "jjj");
    CHECK(contains(selected_line(dashboard), "compile"));
    state.executions[0].state = ExecutionState::interrupted;
    dashboard.show(state);
    CHECK(contains(selected_line(dashboard), "compile"));
    state.executions.erase(state.executions.begin());
    state.ended.insert(state.ended.begin(), ended(1, ExecutionStatus::completed));
    dashboard.show(state);
    CHECK(contains(selected_line(dashboard), "00000001"));
    // It has gone: another one is selected.
    state.ended.erase(state.ended.begin());
    dashboard.show(state);
    CHECK_FALSE(selected_line(dashboard).empty());
    dashboard.show({});
    CHECK(selected_line(dashboard).empty());
    press(dashboard, "jkGg\rca/n");
    CHECK(shows(dashboard, "/n"));
}

TEST_CASE("the selected line is visible among thousands, and its section's title with the first")
{
    ProjectState state;
    for (int i = 0; i < 5000; ++i)
        state.executions.push_back(
            execution(i, ExecutionState::queued, fmt::format("command {}", i)));
    auto dashboard = dashboard_of(state);
    for (const auto* const keys : {"G", "k", "\x1b[5~", "\x1b[5~", "g", "\x1b[6~", "j", " "}) {
        press(dashboard, keys);
        CHECK_FALSE(selected_line(dashboard).empty());
        CHECK_FALSE(selected_line(dashboard, {40, 7}).empty());
    }
    press(dashboard, "G");
    CHECK(contains(selected_line(dashboard), "command 4999"));
    press(dashboard, "g");
    CHECK(contains(selected_line(dashboard), "command 0"));
    CHECK(shows(dashboard, "Queued (5000)"));
}

TEST_CASE("a search selects the next line with the text, in both directions")
{
    auto dashboard = dashboard_of(some_of_all());
    press(dashboard, "/BUILD\r");
    CHECK(shows(dashboard, "Not found: BUILD"));
    press(dashboard, "/build\r");
    CHECK(contains(selected_line(dashboard), "00000005"));
    press(dashboard, "n");
    CHECK(contains(selected_line(dashboard), "00000006"));
    press(dashboard, "n");
    CHECK(contains(selected_line(dashboard), "00000005"));
    press(dashboard, "N");
    CHECK(contains(selected_line(dashboard), "00000006"));
    press(dashboard, "/nothing\x1b");
    press(dashboard, "n");
    CHECK(contains(selected_line(dashboard), "00000005"));
}

TEST_CASE("a command is cancelled only after y")
{
    auto dashboard = dashboard_of(some_of_all());
    press(dashboard, "G");
    press(dashboard, "c");
    CHECK(shows(dashboard, "cannot be cancelled"));
    press(dashboard, "k");
    press(dashboard, "c");
    CHECK(shows(dashboard, "Cancel 00000004? y/n"));
    for (const auto* const no : {"n", "\r", "\x1b[200~y\x1b[201~", "Y"}) {
        CHECK(subcommand_after(dashboard, no).empty());
        CHECK_FALSE(shows(dashboard, "y/n"));
        press(dashboard, "c");
    }
    CHECK(subcommand_after(dashboard, "y") == "cancel --no-wait " + id_of(4));
    CHECK(subcommand_after(dashboard, "y").empty());
    // Also from the details, and the one that was asked about, whatever is selected by now.
    press(dashboard, "\rc");
    dashboard.show({});
    CHECK(subcommand_after(dashboard, "y") == "cancel --no-wait " + id_of(4));
}

TEST_CASE("a command that has ended runs again only after y")
{
    auto state = some_of_all();
    state.pauses.push_back({PauseEntry::Scope::all, "", "all starts are paused", {}, ""});
    auto dashboard = dashboard_of(state);
    CHECK(shows(dashboard, "all starts are paused"));
    press(dashboard, "r");
    CHECK(shows(dashboard, "Only a command that has ended"));
    CHECK(subcommand_after(dashboard, "Grn").empty());
    press(dashboard, "r");
    CHECK(shows(dashboard, "Run again 00000006? y/n"));
    CHECK(subcommand_after(dashboard, "y") == "rerun --detach " + id_of(6));
    CHECK(subcommand_after(dashboard, "\rRy") == "rerun --detach --continue " + id_of(6));
}

TEST_CASE("permission is given only by choosing it")
{
    auto dashboard = dashboard_of(some_of_all());
    press(dashboard, "a");
    for (const auto* const part :
         {"asks for permission: make test", "Run the tests", "Command: make test", "> Deny",
          "  Allow once", "  Always allow"})
        CHECK(shows(dashboard, part));
    const auto answer = "answer " + id_of(1002) + " --question=7 ";
    SUBCASE("denied")
    {
        CHECK(subcommand_after(dashboard, "\r") == answer + "--deny --no-wait");
    }
    SUBCASE("allowed")
    {
        CHECK(subcommand_after(dashboard, "j\r") == answer + "--option=allow --no-wait");
    }
    SUBCASE("later")
    {
        press(dashboard, "\x1b");
        CHECK(shows(dashboard, "Needs you"));
    }
    SUBCASE("pasted")
    {
        CHECK(subcommand_after(dashboard, "\x1b[200~j\r\x1b[201~").empty());
        CHECK(shows(dashboard, "> Deny"));
    }
}

TEST_CASE("a question is answered in words, or by one of its options")
{
    ProjectState state;
    state.executions = {asking(2, QuestionKind::question)};
    auto dashboard = dashboard_of(state);
    const auto answer = "answer " + id_of(1002) + " --question=7 ";
    CHECK(subcommand_after(dashboard, "ajj\r") == answer + "--option=allow --no-wait");
    CHECK(subcommand_after(dashboard, "a\r\r").empty());  // no empty answer
    CHECK(subcommand_after(dashboard, "q, or ä?\r") == answer + "--text=q, or ä? --no-wait");
    CHECK(subcommand_after(dashboard, "aj\r") == answer + "--deny --no-wait");
}

TEST_CASE("an answer belongs to the question that was shown")
{
    auto state = some_of_all();
    auto dashboard = dashboard_of(state);
    press(dashboard, "aj");
    dashboard.show(state);
    CHECK(shows(dashboard, "> Allow once"));
    SUBCASE("it has ended")
    {
        state.executions[1] = execution(2, ExecutionState::running);
    }
    SUBCASE("another one is open")
    {
        state.executions[1].waiting_for->id = "8";
    }
    SUBCASE("another attempt asks it")
    {
        state.executions[1].attempt_id = id_of(1003);
    }
    dashboard.show(state);
    CHECK(shows(dashboard, "The question has ended."));
    CHECK(subcommand_after(dashboard, "cy").empty());
    CHECK_FALSE(shows(dashboard, "Queued"));
    CHECK(subcommand_after(dashboard, "\r").empty());
    CHECK(shows(dashboard, "Queued"));
}

TEST_CASE("a manual step is marked as done, or as failed with a reason")
{
    RunEntry run;
    run.run_id = "release-1";
    run.name = "Release";
    run.alive = true;
    run.started_at = start;
    StepEntry step;
    step.id = "sign";
    step.state = StepState::waiting_manual;
    step.worktree = "/srv/sign";
    run.steps = {step};
    ProjectState state;
    state.runs = {run};
    auto dashboard = dashboard_of(state);
    CHECK(contains(selected_line(dashboard), "sign"));
    CHECK(shows(dashboard, "running     run"));
    press(dashboard, "a");
    CHECK(shows(dashboard, "Instructions: /srv/sign/"));
    CHECK(subcommand_after(dashboard, "\r").empty());  // later
    CHECK(subcommand_after(dashboard, "aj\r") == "answer release-1/sign --option=done --no-wait");
    CHECK(subcommand_after(dashboard, "ajj\rno key\r") ==
          "answer release-1/sign --deny --text=no key --no-wait");
    press(dashboard, "j\r");
    CHECK(shows(dashboard, "waiting_manual sign"));
    CHECK(subcommand_after(dashboard, "cy") == "workflow cancel --no-wait release-1");
}

TEST_CASE("an approval shows who is asked for what, and is given or rejected with a reason")
{
    RunEntry run;
    run.run_id = "release-1";
    run.alive = true;
    run.started_at = start;
    StepEntry step;
    step.id = "approve";
    step.state = StepState::waiting_manual;
    step.worktree = "/srv/tree";
    step.execution_id = "e1";
    step.wait = ManualWait{"May it be\x1b[2J released?\nReally?", "Ada", {}, true};
    run.steps = {step};
    ProjectState state;
    state.runs = {run};
    auto dashboard = dashboard_of(state);
    CHECK(contains(selected_line(dashboard), "waits for Ada: May it be"));
    press(dashboard, "a");
    CHECK(shows(dashboard, "Really?"));
    CHECK(shows(dashboard, "In /srv/tree"));
    CHECK(subcommand_after(dashboard, "\r").empty());  // later
    CHECK(subcommand_after(dashboard, "aj\r") ==
          "answer release-1/approve --question=e1 --option=approve --no-wait");
    CHECK(subcommand_after(dashboard, "ajj\rtoo late\r") ==
          "answer release-1/approve --question=e1 --option=reject --text=too late --no-wait");
    state.runs[0].alive = false;
    dashboard = dashboard_of(state);
    CHECK(contains(selected_line(dashboard), "approve"));
    CHECK(shows(dashboard, "(its run was interrupted)", {140, 24}));
    CHECK(subcommand_after(dashboard, "aj\r") ==
          "answer release-1/approve --question=e1 --option=approve --no-wait");
    state.runs[0].status = WorkflowStatus::cancelled;
    dashboard = dashboard_of(state);
    CHECK_FALSE(shows(dashboard, "waits for Ada"));
}

TEST_CASE("the details have the three truths, the attempts and the output")
{
    auto dashboard = dashboard_of(some_of_all());
    press(dashboard, "G\r");
    REQUIRE(dashboard.opened() != nullptr);
    CHECK(dashboard.shown_attempt() == id_of(1006));
    dashboard.show_attempts({{id_of(900), "failed 1.0s exit code 1"}, {id_of(1006), "completed"}});
    dashboard.log().append("one\ntwo\n");
    for (const auto* const part :
         {"completed 00000006 #2 5.0s", "Command   build", "Exit      exit code 0",
          "Claimed   completed", "Verified  partial of the expected artifacts; missing: report.md",
          "#1        failed 1.0s exit code 1", "#2        completed", "Worktree  tree",
          "Output of attempt 2 of 2, followed", "two"})
        CHECK_MESSAGE(shows(dashboard, part), std::string(part));
    press(dashboard, "\x1b[D");
    CHECK(dashboard.shown_attempt() == id_of(900));
    press(dashboard, "\x1b[D\x1b[C");
    CHECK(dashboard.shown_attempt() == id_of(1006));
    press(dashboard, "\t");
    CHECK_FALSE(shows(dashboard, "Claimed"));
    CHECK(shows(dashboard, "two"));
    press(dashboard, "\t");
    CHECK(shows(dashboard, "Verified", {40, 12}));
    CHECK_FALSE(shows(dashboard, "two"));
    press(dashboard, "q");
    CHECK(dashboard.opened() == nullptr);
    CHECK(shows(dashboard, "Ended (1)"));
}

TEST_CASE("the details follow an execution through its attempts to its end")
{
    auto state = some_of_all();
    auto dashboard = dashboard_of(state);
    press(dashboard, "/compile\r\r");
    dashboard.show_attempts({});
    CHECK(dashboard.shown_attempt() == id_of(1001));
    CHECK(shows(dashboard, "Exit      not ended"));
    state.executions[0].attempt_id = id_of(2001);
    state.executions[0].attempt = 2;
    dashboard.show(state);
    dashboard.show_attempts({{id_of(1001), "failed"}});
    CHECK(dashboard.shown_attempt() == id_of(2001));
    CHECK(shows(dashboard, "running 00000001 #2"));
    state.executions.erase(state.executions.begin());
    state.ended.push_back(ended(1, ExecutionStatus::completed));
    dashboard.show(state);
    CHECK(shows(dashboard, "completed 00000001"));
    dashboard.show({});
    CHECK(shows(dashboard, "completed 00000001"));  // as it was last
}

TEST_CASE("q closes the details, and ends the program only from the list")
{
    auto dashboard = dashboard_of(some_of_all());
    press(dashboard, "\r");
    CHECK_FALSE(dashboard.press({Key::character, "q"}).quits);
    CHECK_FALSE(dashboard.press({Key::escape}).quits);
    CHECK(dashboard.press({Key::character, "q"}).quits);
    press(dashboard, "/");
    CHECK_FALSE(dashboard.press({Key::character, "q"}).quits);
}

TEST_CASE("nothing of a project reaches the terminal as it is")
{
    const std::string hostile = "\x1b]52;c;eA==\x07\x1b[2J\r\n\x9b\xE2\x80\xAE\t\x01\u009b" +
                                std::string(10'000, 'w') + "漢";
    auto state = some_of_all();
    for (auto& entry : state.executions) {
        entry.command = entry.agent = hostile;
        entry.worktree = "/" + hostile;
        entry.progress = Progress{50, hostile, hostile};
        if (entry.waiting_for)
            entry.waiting_for->text = entry.waiting_for->options[0].label = hostile;
    }
    for (auto& entry : state.ended) {
        entry.command = entry.agent = entry.error_message = hostile;
        entry.missing_artifacts = {hostile};
    }
    state.executions_problem = hostile;
    for (const auto* const keys : {"", "\r", "j\r", "G\r", "a", "c", "/x"}) {
        Dashboard dashboard(hostile);
        dashboard.show(state);
        press(dashboard, keys);
        if (dashboard.opened() != nullptr)
            dashboard.show_attempts({{"1", hostile}, {"2", hostile}});
        dashboard.log().append(hostile);
        dashboard.show_message(hostile);
        for (const auto& size : {usual_size, Screen::Size{40, 10}}) {
            const auto sent = redraw(nullptr, dashboard.draw(size, now), size, true);
            std::string_view rest = sent;
            std::size_t column = 0;
            while (!rest.empty()) {
                if (rest.starts_with("\x1b[")) {  // ours: to a line, a rendition, clear, the cursor
                    const auto end = rest.find_first_not_of("0123456789;?", 2);
                    REQUIRE(end != rest.npos);
                    CHECK(contains("HmJhl", rest.substr(end, 1)));
                    if (rest[end] == 'H') column = 0;
                    rest.remove_prefix(end + 1);
                    continue;
                }
                const auto step = text::decode_utf8(rest);
                const bool is_plain = step.valid && step.code_point >= ' ' &&
                                      !(step.code_point >= 0x7F && step.code_point < 0xA0) &&
                                      step.code_point != 0x202E;
                CHECK(is_plain);
                column += text::columns_of(step.code_point);
                CHECK(column <= size.columns);
                rest.remove_prefix(step.length);
            }
        }
    }
}

TEST_CASE("only lines that have changed are sent again, and colours only where they are wanted")
{
    const Screen::Size size{10, 3};
    Frame frame{{{"one"}, {"two", Style::failure}}};
    CHECK(
        redraw(nullptr, frame, size, true) ==
        "\x1b[?25l\x1b[2J\x1b[1;1Hone       \x1b[2;1H\x1b[31mtwo       \x1b[m\x1b[3;1H          ");
    CHECK_FALSE(contains(redraw(nullptr, frame, size, false), "m"));
    CHECK(redraw(&frame, frame, size, true).empty());
    auto next = frame;
    next.lines[0].text = "a long line";
    next.cursor = Frame::Position{0, 4};
    CHECK(redraw(&frame, next, size, true) == "\x1b[?25l\x1b[1;1Ha long li…\x1b[1;5H\x1b[?25h");
    CHECK(redraw(&next, frame, size, true) == "\x1b[?25l\x1b[1;1Hone       ");
}

TEST_SUITE_END();
