#include "agent/agents_file_reader.hpp"
#include "agent/environment.hpp"
#include "agent/template.hpp"
#include "programs/known_programs.hpp"
#include "programs/rules_reader.hpp"
#include "protocol/command_file.hpp"
#include "text/glob.hpp"
#include "yaml/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace autoexec::agent {
namespace {

using yaml::Fields;
using yaml::Report;
using yaml::YamlNode;

constexpr std::int64_t max_retries = 1000;
constexpr std::int64_t max_linger = 3600;  // seconds
constexpr std::int64_t parallel_limit = 10'000;

// Including fields that other readers of the file know.
constexpr std::array<std::string_view, 31> known_fields{"name",
                                                        "type",
                                                        "description",
                                                        "enabled",
                                                        "commands",
                                                        "watch_paths",
                                                        "timeout_seconds",
                                                        "retry_count",
                                                        "environment",
                                                        "shell",
                                                        "clean_environment",
                                                        "accept_argv",
                                                        "context7_cache",
                                                        "triggers",
                                                        "working_directory",
                                                        "output",
                                                        "repository",
                                                        "worktree",
                                                        "outcome",
                                                        "linger_seconds",
                                                        "max_parallel",
                                                        "stdin",
                                                        "resume",
                                                        "new_session",
                                                        "budget",
                                                        "retry_in",
                                                        "driver",
                                                        "permissions",
                                                        "mode",
                                                        "model",
                                                        "fallback"};

constexpr std::array<std::string_view, 4> permission_fields{"kind", "path", "command", "allow"};
// Those of the Agent Client Protocol.
constexpr std::array<std::string_view, 10> tool_kinds{"read",        "edit",    "delete", "move",
                                                      "search",      "execute", "think",  "fetch",
                                                      "switch_mode", "other"};

class AgentReader {
public:
    AgentReader(const YamlNode& node, std::size_t number, Report& report)
        : report_(report), fields_(node, fmt::format("Agent {}: ", number), report)
    {}

    AgentDefinition read()
    {
        fields_.warn_unknown(known_fields);
        read_name();
        read_type();
        agent_.description = fields_.text("description").value_or("");
        agent_.enabled = fields_.boolean("enabled").value_or(true);
        agent_.shell = fields_.boolean("shell").value_or(false);
        agent_.accept_argv = fields_.boolean("accept_argv").value_or(false);
        agent_.clean_environment = fields_.boolean("clean_environment").value_or(false);
        read_numbers();
        read_outcome();
        read_commands();
        read_input();
        read_options();
        read_driver();
        read_retry_in();
        read_permissions();
        read_watch_paths();
        read_fallback();
        read_environment();
        read_working_directory();
        return std::move(agent_);
    }

private:
    void read_name()
    {
        if (!fields_.require("name")) return;
        agent_.name = fields_.text("name").value_or("");
        if (fields_.find("name")->as_string() &&
            agent_.name.find_first_not_of(" \t") == std::string::npos)
            fields_.error("name", "Field 'name' must not be empty");
    }

    void read_type()
    {
        if (!fields_.require("type")) return;
        const auto* node = fields_.find("type");
        if (node->text != "background")
            fields_.error("type", fmt::format("Field 'type' must be 'background' (got: {})",
                                              node->text.empty() ? node->describe() : node->text));
    }

    void read_numbers()
    {
        if (const auto seconds =
                fields_.integer("timeout_seconds", 1, max_timeout_seconds, "a positive integer"))
            agent_.timeout = std::chrono::seconds(*seconds);
        if (const auto count =
                fields_.integer("retry_count", 0, max_retries, "a non-negative integer"))
            agent_.retry_count = static_cast<int>(*count);
        if (const auto seconds =
                fields_.integer("linger_seconds", 0, max_linger, "an integer from 0 to 3600"))
            agent_.linger = std::chrono::seconds(*seconds);
        if (const auto count =
                fields_.integer("max_parallel", 0, parallel_limit, "an integer from 0 to 10000"))
            agent_.max_parallel = static_cast<int>(*count);
    }

    void read_outcome()
    {
        const auto* const node = fields_.find("outcome");
        if (node == nullptr) return;
        if (node->kind == YamlNode::Kind::mapping) {
            agent_.outcome =
                programs::read_output_rules(*node, fields_.prefix() + "outcome: ", report_);
            return;
        }
        const auto text = fields_.text("outcome");
        if (!text) return;
        const auto names = programs::output_rule_names();
        if (const auto* const rules = programs::find_output_rules(*text))
            agent_.outcome = *rules;
        else
            fields_.error("outcome",
                          fmt::format("Field 'outcome' must be one of {} (got: {})",
                                      fmt::join(names, ", "), *text),
                          yaml::did_you_mean(*text, names));
    }

    void read_driver()
    {
        const auto name = fields_.text("driver").value_or("cli");
        if (name == "acp")
            agent_.driver = AgentDriver::acp;
        else if (name != "cli")
            fields_.error("driver",
                          fmt::format("Field 'driver' must be cli or acp (got: {})", name));
        read_mode();
        read_model();
        if (agent_.driver != AgentDriver::acp) return;
        agent_.outcome.name = "acp";
        for (const auto* key : {"stdin", "outcome", "resume", "new_session", "budget"})
            if (fields_.find(key) != nullptr)
                fields_.error(key,
                              fmt::format("Field '{}' cannot be combined with 'driver: acp'", key),
                              "The Agent Client Protocol passes the command and the outcome.");
    }

    void read_mode()
    {
        agent_.mode = fields_.text("mode").value_or("");
        if (!agent_.mode.empty() && agent_.driver != AgentDriver::acp)
            fields_.error("mode", "Field 'mode' needs 'driver: acp'",
                          "Otherwise, it is an option of the program.");
    }

    // Without its own, a command has that of the agent: no program gets an empty one.
    void read_model()
    {
        agent_.model = fields_.text("model").value_or("");
        if (!agent_.model.empty() && !protocol::is_model_name(agent_.model))
            fields_.error(
                "model", "Field 'model' is not the name of a model",
                "At most 200 bytes, without control characters and '-' at its beginning.");
        if (agent_.driver == AgentDriver::acp) return;
        const bool has_place = takes_model(agent_);
        if (!agent_.model.empty() && !has_place)
            fields_.error("model", "Field 'model' needs {model} in one of the commands",
                          "For example: 'tool --model {model} {command}'. Or use 'driver: acp'.");
        if (agent_.model.empty() && has_place && fields_.find("model") == nullptr)
            fields_.error("commands", "{model} needs a field 'model'",
                          "It is the model of commands that name none.");
    }

    void read_permissions()
    {
        const auto* const items = fields_.list("permissions", "rule");
        if (items == nullptr) return;
        if (agent_.driver != AgentDriver::acp)
            return fields_.error("permissions", "Field 'permissions' needs 'driver: acp'");
        for (std::size_t i = 0; i < items->size(); ++i)
            agent_.permissions.push_back(read_permission((*items)[i], i + 1));
    }

    PermissionRule read_permission(const YamlNode& node, std::size_t number)
    {
        PermissionRule rule;
        Fields fields(node, fmt::format("{}Permission {}: ", fields_.prefix(), number), report_);
        if (node.kind != YamlNode::Kind::mapping) {
            fields.error(node.at, "Must be a mapping", "For example: {kind: edit, allow: true}");
            return rule;
        }
        fields.warn_unknown(permission_fields);
        rule.kind = fields.text("kind").value_or("");
        if (!rule.kind.empty() &&
            std::find(tool_kinds.begin(), tool_kinds.end(), rule.kind) == tool_kinds.end())
            fields.error("kind",
                         fmt::format("Field 'kind' must be one of {} (got: {})",
                                     fmt::join(tool_kinds, ", "), rule.kind),
                         yaml::did_you_mean(rule.kind, tool_kinds));
        rule.path = fields.text("path").value_or("");
        std::string problem;
        if (fields.find("path") != nullptr && !text::Glob::compile(rule.path, problem))
            fields.error("path", fmt::format("Bad path '{}': {}", rule.path, problem));
        rule.command = fields.text("command").value_or("");
        if (fields.require("allow")) rule.allow = read_decision(fields);
        return rule;
    }

    static Permission read_decision(Fields& fields)
    {
        const auto* const node = fields.find("allow");
        if (node->as_string() == "ask") return Permission::ask;
        if (const auto allow = node->as_bool())
            return *allow ? Permission::allow : Permission::deny;
        fields.wrong_type("allow", "true, false or ask");
        return Permission::deny;
    }

    void read_options()
    {
        agent_.resume = option("resume", "resume");
        agent_.new_session = option("new_session", "resume");
        agent_.budget = option("budget", "budget");
    }

    std::string option(const char* key, std::string_view placeholder)
    {
        auto text = fields_.text(key).value_or("");
        TemplateProblem problem;
        if (text.empty()) return text;
        if (!compile_option(text, problem))
            fields_.error(key, fmt::format("Field '{}': {}", key, problem.message), problem.hint);
        const auto name = fmt::format("{{{}}}", placeholder);
        if (std::ranges::none_of(agent_.commands, [&](const std::string& command) {
                return command.find(name) != command.npos;
            }))
            fields_.warning(key,
                            fmt::format("Field '{}' needs {} in one of the commands", key, name),
                            "Without it, the field has no effect.");
        return text;
    }

    void read_retry_in()
    {
        const auto where = fields_.text("retry_in").value_or("fresh");
        agent_.retry_in_session = where == "session";
        if (where != "session" && where != "fresh")
            fields_.error(
                "retry_in",
                fmt::format("Field 'retry_in' must be session or fresh (got: {})", where));
        if (!agent_.retry_in_session || agent_.driver == AgentDriver::acp) return;
        if (agent_.resume.find("{session}") == std::string::npos)
            fields_.error("retry_in", "'retry_in: session' needs a field 'resume' with {session}",
                          "For example: `resume: --resume {session}`, and {resume} in the "
                          "command.");
    }

    void read_input()
    {
        agent_.input = fields_.text("stdin").value_or("");
        if (agent_.input.empty()) return;
        const auto* const node = fields_.find("stdin");
        TemplateProblem problem;
        if (!compile_input(agent_.input, problem))
            fields_.error(place(*node, problem.where),
                          fmt::format("Field 'stdin': {}", problem.message), problem.hint);
    }

    void read_commands()
    {
        if (!fields_.require("commands")) return;
        const auto* items = fields_.list("commands", "command");
        if (!items) return;
        for (std::size_t i = 0; i < items->size(); ++i) read_command((*items)[i], i + 1);
    }

    void read_command(const YamlNode& node, std::size_t number)
    {
        auto text = node.as_string();
        if (!text) return fields_.wrong_type(fmt::format("commands[{}]", number), node, "text");
        TemplateProblem problem;
        auto compiled = compile_template(*text, agent_.shell, problem);
        if (!compiled)
            return fields_.error(place(node, problem.where),
                                 fmt::format("Command {}: {}", number, problem.message),
                                 problem.hint);
        if (!agent_.shell) warn_of_operators(node, *compiled);
        agent_.commands.push_back(*std::move(text));
    }

    [[nodiscard]] yaml::Position place(const YamlNode& node, std::string_view where) const
    {
        return where.empty() ? node.at : report_.find(node.at, where);
    }

    void warn_of_operators(const YamlNode& node, const CommandTemplate& command)
    {
        static constexpr std::array<std::string_view, 8> operators{"|", "||", "&&", "&",
                                                                   ";", ">",  ">>", "<"};
        for (const auto& word : command.words) {
            const auto* text = std::get_if<std::string>(&word.front());
            if (word.size() > 1 || !text ||
                std::find(operators.begin(), operators.end(), *text) == operators.end())
                continue;
            report_.warning(place(node, *text),
                            fmt::format("'{}' is passed to the program like any other word", *text),
                            "Commands run without a shell unless the agent has `shell: true`.");
            return;
        }
    }

    void read_watch_paths()
    {
        const auto* items = fields_.list("watch_paths", "path");
        if (!items) return;
        for (std::size_t i = 0; i < items->size(); ++i) {
            const auto& node = (*items)[i];
            std::string problem;
            const auto text = node.as_string();
            if (!text)
                fields_.wrong_type(fmt::format("watch_paths[{}]", i + 1), node, "text");
            else if (!text::Glob::compile(*text, problem))
                fields_.error(node.at, fmt::format("Bad watch path '{}': {}", *text, problem));
            else
                agent_.watch_paths.push_back(*text);
        }
    }

    void read_fallback()
    {
        const auto* const items = fields_.list("fallback", "agent");
        for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
            if (auto name = (*items)[i].as_string())
                agent_.fallback.push_back(*std::move(name));
            else
                fields_.wrong_type(fmt::format("fallback[{}]", i + 1), (*items)[i], "text");
        }
    }

    void read_environment()
    {
        const auto* node = fields_.find("environment");
        if (!node) return;
        if (node->kind == YamlNode::Kind::mapping) {
            for (const auto& entry : node->entries) add_variable(entry);
        } else if (node->kind == YamlNode::Kind::sequence) {
            for (const auto& item : node->items) add_assignment(item);
        } else {
            fields_.wrong_type("environment", *node, "a list of NAME=value, or a mapping");
        }
    }

    void add_variable(const yaml::YamlEntry& entry)
    {
        if (entry.value.kind == YamlNode::Kind::sequence ||
            entry.value.kind == YamlNode::Kind::mapping)
            return fields_.wrong_type("environment." + entry.key, entry.value, "text");
        const bool empty = entry.value.kind == YamlNode::Kind::null;
        add_variable(entry.at, entry.key, empty ? std::string{} : entry.value.text);
    }

    void add_assignment(const YamlNode& node)
    {
        const auto equals = node.text.find('=');
        if (node.kind != YamlNode::Kind::scalar || equals == std::string::npos)
            return fields_.error(node.at, "Items of 'environment' must be NAME=value");
        add_variable(node.at, node.text.substr(0, equals), node.text.substr(equals + 1));
    }

    void add_variable(yaml::Position at, const std::string& name, std::string value)
    {
        auto& all = agent_.environment;
        if (name.empty() || (name.front() >= '0' && name.front() <= '9') ||
            name.find_first_not_of(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") !=
                std::string::npos)
            return fields_.error(
                at, fmt::format("'{}' is not a valid variable name", name),
                "Use letters, digits and underscores; the first must not be a digit.");
        if (value.find('\0') != std::string::npos)
            return fields_.error(at, fmt::format("'{}' contains a NUL character", name));
        if (std::any_of(all.begin(), all.end(), [&](const auto& set) { return set.first == name; }))
            return fields_.error(at, fmt::format("The variable '{}' is set twice", name));
        all.emplace_back(name, std::move(value));
    }

    void read_working_directory()
    {
        const auto text = fields_.text("working_directory");
        if (!text) return;
        const std::string below(without_project_root(*text));
        if (below.find("${") != below.npos || below.find('\0') != below.npos)
            return fields_.error("working_directory",
                                 "Field 'working_directory' must not contain variables",
                                 "Only ${PROJECT_ROOT} is allowed, at its beginning.");
        for (const auto& part : std::filesystem::path(below))
            if (part == "..")
                return fields_.error("working_directory",
                                     "Field 'working_directory' must not leave the worktree by "
                                     "'..'");
        agent_.working_directory = below;
    }

    Report& report_;
    Fields fields_;
    AgentDefinition agent_;
};

}  // namespace

AgentDefinition read_agent(const YamlNode& node, std::size_t number, Report& report)
{
    return AgentReader(node, number, report).read();
}

}  // namespace autoexec::agent
