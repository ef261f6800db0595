#include "workflow/journal/markers.hpp"

#include "support/planted.hpp"
#include "support/temporary_folder.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <limits>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::workflow;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

Marker marker_of(bool done)
{
    Marker marker;
    marker.workflow_id = "run-1";
    marker.step_id = "build";
    marker.agent = "implementer";
    marker.action = "write-code";
    marker.done = done;
    marker.timestamp = "2026-01-20T21:00:36.129110";
    if (!done) marker.error = "boom";
    return marker;
}

Marker full_marker(bool done)
{
    auto marker = marker_of(done);
    marker.worktree_name = "w";
    marker.worktree_path = "/w";
    marker.expected_artifacts = {"a.md", "src/"};
    marker.found_artifacts = {"a.md"};
    marker.duration_seconds = 7;
    marker.started_at = "2026-01-20T21:00:29";
    if (done)
        marker.completed_at = "2026-01-20T21:00:36.129110";
    else
        marker.error_type = "RuntimeError";
    marker.metadata = {{"marker_location", "m"}};
    return marker;
}

constexpr char full_done[] = R"({
  "workflow_id": "run-1",
  "step_id": "build",
  "agent": "implementer",
  "action": "write-code",
  "status": "completed",
  "timestamp": "2026-01-20T21:00:36.129110",
  "worktree_name": "w",
  "worktree_path": "/w",
  "expected_artifacts": [
    "a.md",
    "src/"
  ],
  "found_artifacts": [
    "a.md"
  ],
  "duration_seconds": 7.0,
  "started_at": "2026-01-20T21:00:29",
  "completed_at": "2026-01-20T21:00:36.129110",
  "metadata": {
    "marker_location": "m"
  }
})";

constexpr char full_failed[] = R"({
  "workflow_id": "run-1",
  "step_id": "build",
  "agent": "implementer",
  "action": "write-code",
  "status": "failed",
  "timestamp": "2026-01-20T21:00:36.129110",
  "error": "boom",
  "worktree_name": "w",
  "worktree_path": "/w",
  "expected_artifacts": [
    "a.md",
    "src/"
  ],
  "found_artifacts": [
    "a.md"
  ],
  "duration_seconds": 7.0,
  "started_at": "2026-01-20T21:00:29",
  "error_type": "RuntimeError",
  "metadata": {
    "marker_location": "m"
  }
})";

struct Project : TemporaryFolder {
    std::string problem;

    [[nodiscard]] fs::path file(bool done) const
    {
        return marker_folder(path(), "run-1", "build") / (done ? "DONE.json" : "FAILED.json");
    }
    std::optional<Marker> find() { return find_marker(path(), "run-1", "build", problem); }

    /// Both are there; FAILED is that much older than DONE.
    void write_both(fs::file_time_type::duration older)
    {
        REQUIRE_FALSE(write_marker(path(), marker_of(true)));
        REQUIRE_FALSE(write_marker(path(), marker_of(false)));
        fs::last_write_time(file(false), fs::last_write_time(file(true)) - older);
    }
};

std::string slurp(const fs::path& path)
{
    auto text = read_file(path);
    REQUIRE_MESSAGE(!text.empty(), path.string());
    return text;
}

}  // namespace

TEST_SUITE_BEGIN("markers");

TEST_CASE("a marker has the original's keys in their order")
{
    CHECK(format_marker(full_marker(true)) == full_done);
    CHECK(format_marker(full_marker(false)) == full_failed);
}

TEST_CASE("what a marker does not know is left out of it")
{
    CHECK(format_marker(marker_of(true)) == R"({
  "workflow_id": "run-1",
  "step_id": "build",
  "agent": "implementer",
  "action": "write-code",
  "status": "completed",
  "timestamp": "2026-01-20T21:00:36.129110"
})");
    auto odd = marker_of(false);
    odd.error.clear();
    odd.completed_at = "never";
    odd.duration_seconds = std::numeric_limits<double>::infinity();
    CHECK(format_marker(odd) == R"({
  "workflow_id": "run-1",
  "step_id": "build",
  "agent": "implementer",
  "action": "write-code",
  "status": "failed",
  "timestamp": "2026-01-20T21:00:36.129110",
  "error": ""
})");
}

TEST_CASE("a marker is read back as it was written")
{
    std::string problem;
    for (const bool done : {true, false})
        for (const auto& marker : {full_marker(done), marker_of(done)}) {
            const auto read = parse_marker(format_marker(marker), done, problem);
            REQUIRE(read);
            CHECK(problem.empty());
            CHECK(read->done == done);
            CHECK(format_marker(*read) == format_marker(marker));
        }
}

TEST_CASE("a field of the wrong type counts as absent, an unknown one as nothing")
{
    std::string problem = "of before";
    const auto marker =
        parse_marker(R"({"workflow_id": 5, "step_id": null, "agent": ["a"], "action": "test",)"
                     R"("error": {"message": "m"}, "expected_artifacts": "a.md",)"
                     R"("found_artifacts": ["a", 1], "duration_seconds": "7", "metadata": [],)"
                     R"("later": {"a": 1}})",
                     false, problem);
    REQUIRE(marker);
    CHECK(problem.empty());
    auto expected = Marker{};
    expected.done = false;
    expected.action = "test";
    expected.found_artifacts = {"a"};
    CHECK(format_marker(*marker) == format_marker(expected));
    CHECK(parse_marker("{}", true, problem));
}

TEST_CASE("anything but a JSON object is not a marker, and the reason is reported")
{
    std::string problem;
    for (const auto* text :
         {"", "[]", "[{}]", "null", "\"DONE\"", "{\"a\": NaN}", "{} {}", "{\"a"}) {
        CAPTURE(text);
        problem.clear();
        CHECK_FALSE(parse_marker(text, true, problem));
        CHECK_FALSE(problem.empty());
    }
    for (std::size_t length = 0; length < sizeof full_done - 1; ++length)
        CHECK_FALSE(parse_marker({full_done, length}, true, problem));
}

TEST_CASE_FIXTURE(Project, "a marker is where the original looks for it, for its user alone")
{
    CHECK_FALSE(find());
    CHECK(problem.empty());
    REQUIRE_FALSE(write_marker(path(), full_marker(true)));
    const auto there = *this / ".tapps-agents/workflows/markers/run-1/step-build/DONE.json";
    CHECK(read_file(there) == full_done);
    CHECK(fs::status(there).permissions() == fs::perms(0600));
    CHECK(fs::status(there.parent_path()).permissions() == fs::perms(0700));
    const auto names = fs::directory_iterator(there.parent_path());
    CHECK(std::distance(names, {}) == 1);
    const auto found = find();
    REQUIRE(found);
    CHECK(found->done);
    CHECK(problem.empty());
}

TEST_CASE_FIXTURE(Project, "a marker of before is replaced, its other one stays")
{
    REQUIRE_FALSE(write_marker(path(), full_marker(true)));
    REQUIRE_FALSE(write_marker(path(), full_marker(false)));
    REQUIRE_FALSE(write_marker(path(), marker_of(true)));
    CHECK(read_file(file(true)) == format_marker(marker_of(true)));
    CHECK(read_file(file(false)) == full_failed);
}

TEST_CASE_FIXTURE(Project, "of two markers the newer one counts, at the same time DONE")
{
    write_both(1s);
    CHECK(find()->done);
    write_both(0s);
    CHECK(find()->done);
    write_both(-1s);
    CHECK_FALSE(find()->done);
    CHECK(find()->error == "boom");
    CHECK(problem.empty());
}

TEST_CASE_FIXTURE(Project, "markers are removed, also where there are none")
{
    CHECK_FALSE(remove_markers(path(), "run-1", "build"));
    write_both(0s);
    CHECK_FALSE(remove_markers(path(), "run-1", "build"));
    CHECK_FALSE(fs::exists(file(true)));
    CHECK_FALSE(fs::exists(file(false)));
    CHECK_FALSE(find());
    CHECK_FALSE(remove_markers(path(), "run-1", "build"));
}

TEST_CASE_FIXTURE(Project, "what is no regular file is never taken for a marker, and named")
{
    const auto target = *this / "target.json";
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        write_file(target, full_done);
        if (!plant(kind, file(true), target)) {
            MESSAGE("may not create ", name_of(kind));
            continue;
        }
        CHECK_FALSE(find());
        CHECK(problem.find(file(true).string() + ": it is a") != std::string::npos);
        // A new marker stands in its place afterwards; what a link led to is as it was.
        const auto ec = write_marker(path(), marker_of(true));
        CHECK(static_cast<bool>(ec) == (kind == Planted::directory));
        CHECK(static_cast<bool>(find()) == (kind != Planted::directory));
        CHECK(read_file(target) == full_done);
        fs::remove_all(file(true));
    }
}

TEST_CASE_FIXTURE(Project, "a marker that cannot be understood hides no other")
{
    write_both(1s);
    for (const auto& text : {std::string("[]"), std::string(full_done).substr(0, 200),
                             std::string(1024 * 1024 + 1, ' ')}) {
        write_file(file(true), text);
        const auto found = find();
        REQUIRE(found);
        CHECK_FALSE(found->done);
        CHECK(problem.starts_with(file(true).string() + ": "));
    }
    write_file(file(false), "");
    CHECK_FALSE(find());
    CHECK(problem.find("; " + file(false).string() + ": ") != std::string::npos);
}

TEST_CASE_FIXTURE(Project, "a marker of exactly the limit is read, a larger one is not written")
{
    auto marker = marker_of(true);
    marker.agent = std::string(1024 * 1024 - format_marker(marker).size(), 'a');
    marker.agent += marker_of(true).agent;
    REQUIRE(format_marker(marker).size() == 1024 * 1024);
    CHECK_FALSE(write_marker(path(), marker));
    CHECK(find());
    marker.agent += 'a';
    CHECK(write_marker(path(), marker) == errc::file_too_large);
    CHECK(find()->agent.size() == marker.agent.size() - 1);
}

TEST_CASE_FIXTURE(Project, "whatever ids say, markers stay in their place")
{
    const auto place = *this / ".tapps-agents/workflows/markers";
    const std::vector<std::string> ids = {
        "..", ".", "", "../../../../out", "/etc", "a/b", {"a\0b", 3}, "a\nb", "übel"};
    for (const auto& id : ids) {
        CAPTURE(id);
        auto marker = marker_of(true);
        marker.workflow_id = id;
        marker.step_id = id;
        REQUIRE_FALSE(write_marker(path(), marker));
        const auto folder = marker_folder(path(), id, id);
        CHECK(folder.parent_path().parent_path() == place);
        CHECK(folder == folder.lexically_normal());
        CHECK(fs::is_regular_file(folder / "DONE.json"));
        CHECK(find_marker(path(), id, id, problem)->step_id == id);
    }
    CHECK(std::distance(fs::directory_iterator(path()), {}) == 1);
    const auto folders = std::distance(fs::directory_iterator(place), {});
    CHECK(folders == std::ssize(ids));
}

TEST_CASE_FIXTURE(Project, "long ids that differ only at their ends have markers of their own")
{
    auto marker = marker_of(true);
    for (const char end : {'a', 'b'}) {
        marker.workflow_id = std::string(1000, 'r') + end;
        marker.step_id = std::string(1000, 's') + end;
        marker.agent = end;
        REQUIRE_FALSE(write_marker(path(), marker));
        const auto folder = marker_folder(path(), marker.workflow_id, marker.step_id);
        CHECK(folder.parent_path().filename().native().size() <= 128);
        CHECK(folder.filename().native().size() <= 128 + 5);
    }
    marker.workflow_id.back() = 'a';
    marker.step_id.back() = 'a';
    CHECK(find_marker(path(), marker.workflow_id, marker.step_id, problem)->agent == "a");
}

TEST_CASE_FIXTURE(Project, "a folder of markers that leads elsewhere is not followed")
{
    const TemporaryFolder elsewhere;
    REQUIRE_FALSE(write_marker(elsewhere.path(), full_marker(true)));
    fs::create_directory_symlink(elsewhere / ".tapps-agents", *this / ".tapps-agents");
    CHECK_FALSE(find());
    CHECK_FALSE(problem.empty());
    CHECK(write_marker(path(), marker_of(false)) == errc::unsafe_path);
    CHECK(remove_markers(path(), "run-1", "build"));
    CHECK(find_marker(elsewhere.path(), "run-1", "build", problem));
    CHECK(problem.empty());
}

TEST_CASE("markers of the original system are read, and would be written just so")
{
    const char* const data = std::getenv("AUTOEXEC_CONFORMANCE_DATA");
    if (data == nullptr) {
        MESSAGE("skipped: AUTOEXEC_CONFORMANCE_DATA is not set");
        return;
    }
    constexpr std::string_view middle = "__step-";
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(data) / "markers")) {
        const auto name = entry.path().filename().string();
        CAPTURE(name);
        const bool done = name.ends_with("__DONE.json");
        REQUIRE((done || name.ends_with("__FAILED.json")));
        const auto step = name.find(middle) + middle.size();
        const auto text = slurp(entry.path());
        std::string problem;
        const auto marker = parse_marker(text, done, problem);
        REQUIRE_MESSAGE(marker, problem);
        CHECK(marker->workflow_id == name.substr(0, step - middle.size()));
        CHECK(marker->step_id == name.substr(step, name.rfind("__") - step));
        CHECK(text::parse_iso(marker->timestamp));
        CHECK(marker->error.empty() == done);
        CHECK(format_marker(*marker) == text);
        ++files;
    }
    CHECK(files > 0);
}

TEST_SUITE_END();
