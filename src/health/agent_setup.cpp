#include "agent/agents_file_reader.hpp"
#include "agent/programs.hpp"
#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "health/checks.hpp"
#include "programs/json_values.hpp"
#include "programs/known_programs.hpp"
#include "text/json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/algorithm/string/trim.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <set>

/// Checks what the agent programs need of the user, without calling them. No message contains text
/// of a file or the value of a variable.
namespace autoexec::health {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using programs::KnownProgram;
using programs::SignIn;

constexpr std::size_t max_file = 16 * 1024 * 1024;

// A file of the user's own, who may have linked it. Empty if it cannot be read or is too large.
std::string read_own(const fs::path& path)
{
    const files::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
    std::string text;
    if (files::read_all(fd.get(), text, max_file) || text.size() > max_file) return {};
    return text;
}

std::optional<json::value> read_json(const fs::path& path)
{
    auto reading = text::read_json_object(read_own(path));
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    return json::value(std::move(reading.object));
}

bool has_value(const json::value& values, std::string_view pointer)
{
    const auto* const value = programs::value_at(values, pointer);
    if (value == nullptr || value->is_null()) return false;
    return !(value->is_object() && value->get_object().empty()) &&
           !(value->is_array() && value->get_array().empty());
}

// `auth.json`, `settings.json /apiKeyHelper` or `config.toml model_provider`.
bool has_credentials(const fs::path& folder, std::string_view file)
{
    const auto blank = file.find(' ');
    // Without `..`, which needs the folder.
    const auto path = (folder / file.substr(0, blank)).lexically_normal();
    if (blank == file.npos) return !read_own(path).empty();
    const auto wanted = file.substr(blank + 1);
    if (!wanted.starts_with('/')) return read_own(path).find(wanted) != std::string::npos;
    const auto values = read_json(path);
    return values && has_value(*values, wanted);
}

// The folder and those above it, the nearest first.
std::vector<fs::path> with_parents(fs::path folder)
{
    std::vector<fs::path> all{folder};
    for (; folder.has_relative_path(); all.push_back(folder)) folder = folder.parent_path();
    return all;
}

// Where people trust a repository: its main checkout.
fs::path main_checkout(const fs::path& project)
{
    std::error_code ec;
    const auto common = git_files::common_dir_of(project);
    auto checkout = common && common->filename() == ".git" ? common->parent_path() : project;
    auto real = fs::weakly_canonical(checkout, ec);
    return ec ? checkout : real;
}

/// What one agent's program finds in its environment and in the home folder.
class AgentSetup {
public:
    AgentSetup(FindingList& findings, const HealthOptions& options,
               const AgentDefinition& definition, const KnownProgram& program)
        : findings_(findings), options_(options), definition_(definition), program_(program)
    {}

    /// Returns where the key or login is, in words; empty if there is none.
    std::string check_sign_in()
    {
        const auto& where = program_.sign_in;
        for (const auto& name : where.variables)
            if (!variable(name).empty()) return name;
        const auto folder = folder_of(where);
        if (!folder.is_absolute()) return "unknown";
        for (const auto& file : where.files)
            if (has_credentials(folder, file))
                return shown((folder / file.substr(0, file.find(' '))).lexically_normal());
        for (const auto& name : where.variables)
            if (!options_.probes.variable(name).empty())
                return fmt::format("only with `--env {}`", name);
        if (where.certain) report_not_signed_in(where, folder);
        return where.certain ? "" : "unknown";
    }

    void check_trust()
    {
        if (variable("HOME").empty()) return;
        if (program_.name == "claude") check_claude();
        if (program_.name == "codex") check_codex();
        if (program_.name == "gemini") check_gemini();
    }

private:
    // As the program sees it.
    [[nodiscard]] std::string variable(const std::string& name) const
    {
        for (const auto& [own, value] : definition_.environment)
            if (own == name) return value;
        const bool passed =
            !definition_.clean_environment || name == "HOME" || name == "XDG_DATA_HOME";
        return passed ? options_.probes.variable(name) : "";
    }

    [[nodiscard]] fs::path folder_of(const SignIn& where) const
    {
        const auto named = where.folder_variable.empty() ? "" : variable(where.folder_variable);
        return named.empty() ? fs::path(variable("HOME")) / where.folder : fs::path(named);
    }

    [[nodiscard]] bool command_has(std::string_view option) const
    {
        return std::any_of(
            definition_.commands.begin(), definition_.commands.end(),
            [option](const auto& command) { return command.find(option) != command.npos; });
    }

    void report(std::string_view problem, std::string remedy)
    {
        findings_.degraded(fmt::format("Agent '{}': {}", definition_.name, problem),
                           std::move(remedy));
    }

    void report_not_signed_in(const SignIn& where, const fs::path& folder)
    {
        report(fmt::format("{} is not signed in: there are no credentials in {}, and no variable "
                           "such as {}.",
                           program_.title, shown(folder), where.variables.front()),
               fmt::format("{}et {}, for example in the agent's `environment`.",
                           where.command.empty() ? "S" : fmt::format("Run {}, or s", where.command),
                           where.variables.front()));
    }

    // It ignores the permissions that a folder grants before a person has trusted the folder.
    void check_claude()
    {
        if (command_has("bypassPermissions") || command_has("dangerously-skip-permissions")) return;
        const auto main = main_checkout(options_.project_root);
        std::string granting;
        for (const auto* name : {".claude/settings.local.json", ".claude/settings.json"})
            if (const auto settings = read_json(main / name);
                settings && has_value(*settings, "/permissions/allow"))
                granting = name;
        if (granting.empty() || !variable("CLAUDE_CODE_SANDBOXED").empty()) return;
        const auto folder = variable("CLAUDE_CONFIG_DIR");
        const auto state =
            read_json(fs::path(folder.empty() ? variable("HOME") : folder) / ".claude.json");
        const auto* const projects = state ? programs::value_at(*state, "/projects") : nullptr;
        if (projects != nullptr && projects->is_object())
            for (const auto& path : with_parents(main)) {
                const auto* const project = projects->get_object().if_contains(path.string());
                const auto* const accepted =
                    project == nullptr ? nullptr
                                       : programs::value_at(*project, "/hasTrustDialogAccepted");
                if (accepted != nullptr && *accepted == json::value(true)) return;
            }
        report(fmt::format("Claude Code does not trust {}, so it ignores the permissions in {}.",
                           shown(main), granting),
               "Start claude there once and accept the folder, or use --allowedTools in the "
               "agent's command.");
    }

    // It refuses to start outside git in a folder that is not trusted.
    void check_codex()
    {
        if (command_has("skip-git-repo-check") || command_has("danger-full-access") ||
            git_files::git_dir_of(options_.project_root))
            return;
        const auto config = read_own(folder_of(program_.sign_in) / "config.toml");
        const auto main = main_checkout(options_.project_root);
        const auto section = fmt::format("[projects.\"{}\"]", main.string());
        if (const auto at = config.find(section); at != config.npos) {
            const auto begin = at + section.size();
            const auto entries = std::string_view(config).substr(
                begin, std::min(config.find("\n[", begin), config.size()) - begin);
            if (entries.find("\"trusted\"") != entries.npos) return;
        }
        report(fmt::format("Codex does not start in {}, which is not in a git repository and not "
                           "trusted.",
                           shown(main)),
               "Use a git repository, or --skip-git-repo-check in the agent's command.");
    }

    // Its longest rule for a folder counts. Without a person, it ends in a folder without trust.
    void check_gemini()
    {
        if (command_has("--skip-trust") || variable("GEMINI_CLI_TRUST_WORKSPACE") == "true") return;
        const auto folder = folder_of(program_.sign_in);
        if (const auto settings = read_json(folder / "settings.json")) {
            const auto* const enabled =
                programs::value_at(*settings, "/security/folderTrust/enabled");
            if (enabled != nullptr && *enabled == json::value(false)) return;
        }
        const auto main = main_checkout(options_.project_root);
        const auto rules = read_json(folder / "trustedFolders.json");
        if (rules && trusted_by(rules->get_object(), main)) return;
        report(fmt::format("Gemini does not trust {}, and does not run there.", shown(main)),
               "Add --skip-trust to the agent's command, or start gemini there once and trust the "
               "folder.");
    }

    static bool trusted_by(const json::object& rules, const fs::path& folder)
    {
        const auto parents = with_parents(folder);
        std::size_t nearest = parents.size();
        bool trusted = false;
        for (const auto& [path, level] : rules) {
            if (!level.is_string()) continue;
            auto covered = fs::path(std::string_view(path)).lexically_normal();
            if (level.get_string() == "TRUST_PARENT") covered = covered.parent_path();
            const auto found = std::find(parents.begin(), parents.end(), covered);
            const auto distance = static_cast<std::size_t>(found - parents.begin());
            if (distance >= nearest) continue;
            nearest = distance;
            trusted = level.get_string() != "DO_NOT_TRUST";
        }
        return trusted;
    }

    FindingList& findings_;
    const HealthOptions& options_;
    const AgentDefinition& definition_;
    const KnownProgram& program_;
};

// The first that the table knows, by its command line or as a server of the protocol.
const KnownProgram* known_program_of(const AgentDefinition& definition)
{
    const auto first_word = [](const std::string& text) { return text.substr(0, text.find(' ')); };
    for (const auto& program : agent::programs_of(definition)) {
        const auto name = fs::path(program).filename().string();
        for (const auto& known : programs::known_programs())
            if (!known.sign_in.variables.empty() &&
                (first_word(known.command) == name || first_word(known.acp) == name))
                return &known;
    }
    return nullptr;
}

}  // namespace

std::string check_agent_setup(FindingList& findings, const HealthOptions& options)
{
    const auto reading = load_agents(options.project_root);
    json::object places;
    std::vector<std::string> listed;
    if (reading.errors.empty())
        for (const auto& definition : reading.file.agents) {
            const auto* const program = definition.enabled ? known_program_of(definition) : nullptr;
            if (program == nullptr) continue;
            AgentSetup setup(findings, options, definition, *program);
            if (const auto place = setup.check_sign_in(); !place.empty()) {
                places[definition.name] = place;
                listed.push_back(fmt::format("{}: {}", definition.name, place));
            }
            setup.check_trust();
        }
    findings.details()["signed_in"] = std::move(places);
    if (listed.empty()) return "No agent needs to sign in.";
    return fmt::format("Where the agents sign in: {}.", fmt::join(listed, ", "));
}

}  // namespace autoexec::health
