#include "workflow/journal/markers.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::size_t marker_limit = 1024 * 1024;
constexpr char done_name[] = "DONE.json";
constexpr char failed_name[] = "FAILED.json";

fs::path below_project(std::string_view run_id, std::string_view step_id)
{
    return fs::path(layout::markers) / text::file_name_of(run_id) /
           ("step-" + text::file_name_of(step_id));
}

records::Folder folder_of(const fs::path& project_root, std::string_view run_id,
                          std::string_view step_id)
{
    return {project_root.empty() ? "." : project_root, below_project(run_id, step_id)};
}

void put(json::object& out, std::string_view key, const std::string& text)
{
    if (!text.empty()) out[key] = text;
}

void put(json::object& out, std::string_view key, const std::vector<std::string>& texts)
{
    if (!texts.empty()) out[key] = json::array(texts.begin(), texts.end());
}

void add_problem(std::string& problems, const fs::path& file, const std::string& problem)
{
    if (problem.empty()) return;
    if (!problems.empty()) problems += "; ";
    problems += fmt::format("{}: {}", file.string(), problem);
}

}  // namespace

std::string format_marker(const Marker& marker)
{
    json::object out{{"workflow_id", marker.workflow_id},
                     {"step_id", marker.step_id},
                     {"agent", marker.agent},
                     {"action", marker.action},
                     {"status", marker.done ? "completed" : "failed"},
                     {"timestamp", marker.timestamp}};
    if (!marker.done) out["error"] = marker.error;
    put(out, "worktree_name", marker.worktree_name);
    put(out, "worktree_path", marker.worktree_path);
    put(out, "expected_artifacts", marker.expected_artifacts);
    put(out, "found_artifacts", marker.found_artifacts);
    if (marker.duration_seconds && std::isfinite(*marker.duration_seconds))
        out["duration_seconds"] = *marker.duration_seconds;
    put(out, "started_at", marker.started_at);
    if (marker.done)
        put(out, "completed_at", marker.completed_at);
    else
        put(out, "error_type", marker.error_type);
    if (!marker.metadata.empty()) out["metadata"] = marker.metadata;
    return text::dump_indented(out);
}

std::optional<Marker> parse_marker(std::string_view text, bool done, std::string& problem)
{
    const auto json = text::read_json_object(text);
    problem = json.problem;
    if (json.kind != text::JsonReading::Kind::valid) return std::nullopt;
    std::vector<std::string> ignored;
    const text::Fields top(&json.object, ignored);
    const auto text_at = [&top](std::string_view key) { return top.string(key).value_or(""); };

    Marker marker;
    marker.done = done;
    marker.workflow_id = text_at("workflow_id");
    marker.step_id = text_at("step_id");
    marker.agent = text_at("agent");
    marker.action = text_at("action");
    marker.timestamp = text_at("timestamp");
    marker.error = text_at("error");
    marker.worktree_name = text_at("worktree_name");
    marker.worktree_path = text_at("worktree_path");
    marker.expected_artifacts = top.strings("expected_artifacts");
    marker.found_artifacts = top.strings("found_artifacts");
    marker.duration_seconds = top.number("duration_seconds");
    marker.started_at = text_at("started_at");
    marker.completed_at = text_at("completed_at");
    marker.error_type = text_at("error_type");
    const auto* const metadata = json.object.if_contains("metadata");
    if (metadata != nullptr && metadata->is_object()) marker.metadata = metadata->get_object();
    return marker;
}

fs::path marker_folder(const fs::path& project_root, std::string_view run_id,
                       std::string_view step_id)
{
    return project_root / below_project(run_id, step_id);
}

error_code write_marker(const fs::path& project_root, const Marker& marker)
{
    const auto text = format_marker(marker);
    if (text.size() > marker_limit) return errc::file_too_large;  // `find_marker` would refuse it
    error_code ec;
    const auto folder = folder_of(project_root, marker.workflow_id, marker.step_id).create(ec);
    if (ec) return ec;
    return files::replace_file(folder.get(), marker.done ? done_name : failed_name, text, 0600,
                               Durability::process);
}

error_code remove_markers(const fs::path& project_root, std::string_view run_id,
                          std::string_view step_id)
{
    error_code ec;
    const auto folder = folder_of(project_root, run_id, step_id).open(ec);
    if (!folder) return ec == boost::system::errc::no_such_file_or_directory ? error_code{} : ec;
    const auto done = files::remove_file(folder.get(), done_name);
    const auto failed = files::remove_file(folder.get(), failed_name);
    return done ? done : failed;
}

std::optional<Marker> find_marker(const fs::path& project_root, std::string_view run_id,
                                  std::string_view step_id, std::string& problem)
{
    problem.clear();
    error_code ec;
    const auto path = marker_folder(project_root, run_id, step_id);
    const auto folder = folder_of(project_root, run_id, step_id).open(ec);
    if (!folder) {
        if (ec != boost::system::errc::no_such_file_or_directory)
            add_problem(problem, path, ec.message());
        return std::nullopt;
    }
    std::optional<Marker> newest;
    std::int64_t modified_ns = 0;
    for (const bool done : {true, false}) {
        const auto* const name = done ? done_name : failed_name;
        const auto found = files::read_regular(folder.get(), name, marker_limit, {});
        auto why = found.problem;
        std::optional<Marker> marker;
        if (found.state == FoundFile::State::present) marker = parse_marker(found.text, done, why);
        add_problem(problem, path / name, why);
        if (!marker || (newest && found.stamp.modified_ns <= modified_ns)) continue;
        newest = std::move(marker);
        modified_ns = found.stamp.modified_ns;
    }
    return newest;
}

}  // namespace autoexec::workflow
