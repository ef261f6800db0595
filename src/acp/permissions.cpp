#include "acp/permissions.hpp"

#include "programs/json_values.hpp"
#include "protocol/layout.hpp"
#include "text/glob.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace autoexec::acp {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using programs::text_at;
using programs::value_at;

// Of a tool call. One that exceeds them is denied, because it cannot be checked as a whole.
constexpr std::size_t max_paths = 100;
constexpr std::size_t max_path = 4096;
constexpr std::size_t max_command = 128 * 1024;
constexpr std::size_t max_title = 1000;

// Where programs name the paths of a tool; the protocol leaves its input open.
constexpr std::array<const char*, 7> path_keys{"/file_path", "/filePath", "/filepath", "/path",
                                               "/cwd",       "/dir_path", "/workdir"};

void replace_by(std::string& text, std::string other)
{
    if (!other.empty()) text = std::move(other);
}

std::string command_in(const json::value& input)
{
    const auto* const value = value_at(input, "/command");
    if (value == nullptr || !value->is_array()) return text_at(input, "/command");
    std::string words;
    for (const auto& word : value->get_array())
        if (word.is_string()) words += (words.empty() ? "" : " ") + std::string(word.get_string());
    return words;
}

// Relative to the worktree; nullopt if it is not beneath it, or if a program could read it as a
// path of another folder.
std::optional<std::string> beneath(const std::string& path, const Folders& folders)
{
    if (path.front() == '~' || path.find('\0') != path.npos) return std::nullopt;
    const auto full = (folders.working / path).lexically_normal();
    const auto relative = full.lexically_relative(folders.worktree.lexically_normal());
    if (relative.empty() || *relative.begin() == "..") return std::nullopt;
    return relative.string();
}

bool has_first_words(std::string_view command, std::string_view words)
{
    command.remove_prefix(std::min(command.find_first_not_of(" \t"), command.size()));
    return command.starts_with(words) &&
           (command.size() == words.size() || words.ends_with(' ') || command[words.size()] == ' ');
}

// Gemini sends no input: its command is in the title. With an input, the title is only words for
// people, which a model may have written.
std::string_view command_of(const ToolCall& call)
{
    const bool is_title = !call.has_input && call.command.empty() && call.kind == "execute";
    if (is_title && call.title.size() < max_title) return call.title;
    return call.command;
}

// To allow, no operator of a shell may add another command or a file; otherwise each part counts,
// and so does a command that is not known.
bool command_matches(const PermissionRule& rule, const ToolCall& call)
{
    auto command = command_of(call);
    if (rule.command.empty()) return true;
    if (command.empty()) return rule.allow != Permission::allow && call.kind == "execute";
    if (rule.allow == Permission::allow)
        return has_first_words(command, rule.command) &&
               command.find_first_of(";&|`$<>(){}\\\n\r") == command.npos;
    while (!command.empty()) {
        const auto end = std::min(command.find_first_of(";&|`(){}\n\r"), command.size());
        if (has_first_words(command.substr(0, end), rule.command)) return true;
        command.remove_prefix(std::min(end + 1, command.size()));
    }
    return false;
}

bool paths_match(const PermissionRule& rule, const std::vector<std::string>& paths)
{
    if (rule.path.empty()) return true;
    std::string ignored;  // checked when the agents were read
    const auto glob = text::Glob::compile(rule.path, ignored);
    const auto matches = [&glob](const auto& path) { return glob->matches(path); };
    const bool allows = rule.allow == Permission::allow;
    if (!glob) return !allows;
    if (paths.empty()) return false;
    return allows ? std::all_of(paths.begin(), paths.end(), matches)
                  : std::any_of(paths.begin(), paths.end(), matches);
}

bool changes_files(std::string_view kind)
{
    return kind == "edit" || kind == "delete" || kind == "move";
}

// With these a program could answer its own requests.
bool is_own_file(const fs::path& path)
{
    const auto& first = *path.begin();
    return first == ".git" || first == layout::records;
}

}  // namespace

void ToolCall::update(const json::value& message)
{
    replace_by(kind, text_at(message, "/kind").substr(0, max_title));
    replace_by(title, text_at(message, "/title").substr(0, max_title));
    const auto add = [this](std::string path) {
        if (path.empty() || std::find(paths.begin(), paths.end(), path) != paths.end()) return;
        if (paths.size() == max_paths || path.size() > max_path) path = "/";
        if (paths.size() <= max_paths) paths.push_back(std::move(path));
    };
    for (const auto* list : {"/locations", "/content"})
        if (const auto* const items = value_at(message, list); items && items->is_array())
            for (const auto& item : items->get_array()) add(text_at(item, "/path"));
    const auto* const input = value_at(message, "/rawInput");
    if (input == nullptr || input->is_null()) return;
    has_input = true;
    replace_by(command, command_in(*input));
    if (command.size() > max_command) {
        command.clear();
        add("/");
    }
    for (const auto* key : path_keys) add(text_at(*input, key));
}

Decision decide(const ToolCall& call, std::span<const PermissionRule> rules, const Folders& folders)
{
    std::vector<std::string> paths;
    for (const auto& path : call.paths) {
        auto relative = beneath(path, folders);
        if (!relative) return {Permission::deny, "outside the worktree"};
        paths.push_back(*std::move(relative));
    }
    if (changes_files(call.kind) && paths.empty()) return {Permission::deny, "unknown path"};
    const bool only_reads = call.kind == "read" || call.kind == "search";
    if (!only_reads && std::ranges::any_of(paths, is_own_file))
        return {Permission::deny, "a file of git or autoexec"};
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const auto& one) {
        return (one.kind.empty() || one.kind == call.kind) && paths_match(one, paths) &&
               command_matches(one, call);
    });
    if (rule == rules.end()) return {Permission::deny, "no rule"};
    return {rule->allow, fmt::format("rule {}", rule - rules.begin() + 1)};
}

RequestOptions options_of(const json::value& request)
{
    RequestOptions found;
    const auto* const options = value_at(request, "/options");
    if (options == nullptr || !options->is_array()) return found;
    for (const auto& option : options->get_array()) {
        const auto kind = text_at(option, "/kind");
        if (kind == "allow_once" && found.allow_once.empty())
            found.allow_once = text_at(option, "/optionId");
        if (kind == "reject_once") found.reject_once = text_at(option, "/optionId");
    }
    return found;
}

Question question_about(const ToolCall& call)
{
    Question question;
    question.kind = QuestionKind::permission;
    question.options = {{allow_option, "Allow it once"}, {"deny", "Deny it"}};
    question.text = !call.title.empty() ? call.title : call.kind;
    if (question.text.empty()) question.text = "A tool";
    const auto add = [&question, title = question.text](std::string_view name,
                                                        const std::string& value) {
        if (value.empty() || value == title) return;
        question.text += fmt::format("\n{}: {}", name, value);
    };
    add("Kind", call.kind);
    add("Command", call.command);
    for (const auto& path : call.paths) add("Path", path);
    return question;
}

}  // namespace autoexec::acp
