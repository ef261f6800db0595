#include "programs/known_programs.hpp"

#include "programs/rules_reader.hpp"
#include "yaml/fields.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace autoexec::programs {
namespace {

// The same keys as in the agents file. Facts are measured with the version in `compared`, or taken
// from the program's documentation (`unverified`).
constexpr std::string_view table = R"yaml(
- name: claude
  title: Claude Code
  compared: 2.1.332
  command: claude -p --output-format stream-json --verbose --permission-mode acceptEdits {budget} {resume}
  acp: claude-agent-acp
  acp_mode: default
  stdin: "{command}"
  resume: --resume {session}
  new_session: --session-id {attempt_id}
  budget: --max-budget-usd {max_cost}
  environment: {CLAUDE_CODE_MAX_RETRIES: "3", CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1", DISABLE_AUTOUPDATER: "1"}
  sign_in:
    variables: [ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, CLAUDE_CODE_OAUTH_TOKEN, CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_USE_VERTEX, CLAUDE_CODE_USE_FOUNDRY]
    folder_variable: CLAUDE_CONFIG_DIR
    folder: .claude
    files: [.credentials.json, settings.json /apiKeyHelper, settings.json /env, .claude.json /primaryApiKey, ../.claude.json /primaryApiKey]
    command: claude auth login
    certain: true
  notes: |
    It may edit files and run the tools that its settings allow. To allow more, add for example
    --allowedTools 'Bash(make:*)' to the command; the project's .claude/settings.json counts
    only if the user has trusted the main checkout.
  outcome:
    name: claude
    program: Claude
    options: --output-format stream-json --verbose
    allow: Allow it by --allowedTools or --permission-mode in the agent's command.
    events:
      # The subtype `success` and exit code 0 occur with errors, too.
      - {when: {/type: result, /is_error: true, /stop_reason: refusal}, meaning: failure, error_code: refused, message: [/result, /errors/0]}
      - {when: {/type: result, /is_error: true, /subtype: error_max_turns}, meaning: failure, error_code: max_turns, message: [/result, /errors/0, /subtype]}
      - {when: {/type: result, /is_error: true, /errors/0: {begins_with: No conversation found}}, meaning: failure, error_code: no_session, message: /errors/0}
      - {when: {/type: result, /is_error: true, /subtype: error_max_budget_usd}, meaning: failure, error_code: budget, message: [/result, /errors/0, /subtype]}
      - {when: {/type: result, /terminal_reason: max_turns}, meaning: failure, error_code: max_turns, message: [/result, /errors/0, /terminal_reason]}
      - {when: {/type: result, /terminal_reason: prompt_too_long}, meaning: failure, error_code: context, message: [/result, /errors/0, /terminal_reason]}
      - {when: {/type: result, /is_error: true}, meaning: failure, message: [/result, /errors/0, /errors/1, /terminal_reason], http_status: /api_error_status}
      - {when: {/type: result, /is_error: false, /permission_denials/0/tool_name: AskUserQuestion}, meaning: question}
      - {when: {/type: result, /is_error: false, /permission_denials/0/tool_name: ExitPlanMode}, meaning: question}
      - {when: {/type: result, /is_error: false, /terminal_reason: completed}, meaning: success}
      - {when: {/type: result, /is_error: false, /terminal_reason: {absent: true}}, meaning: success}
      - {when: {/type: result, /is_error: false, /terminal_reason: ""}, meaning: success}
      - {when: {/type: result, /is_error: false}, meaning: failure, message: [/result, /terminal_reason]}
      - {when: {/type: result, /permission_denials/0: {present: true}}, denied: "{/permission_denials/0/tool_name}: {/permission_denials/0/tool_input/command}"}
      - when: {/type: result}
        session: /session_id
        usage:
          input: /usage/input_tokens
          output: /usage/output_tokens
          cache_read: /usage/cache_read_input_tokens
          cache_write: /usage/cache_creation_input_tokens
          cost_usd: /total_cost_usd
          output_has_reasoning: true
      - {when: {/type: control_request, /request/subtype: can_use_tool, /request/tool_name: AskUserQuestion}, meaning: question}
      - {when: {/type: control_request, /request/subtype: can_use_tool, /request/tool_name: ExitPlanMode}, meaning: question}
      - {when: {/type: control_request, /request/subtype: can_use_tool}, meaning: permission, message: /request/tool_name}
      - {when: {/type: system, /subtype: task_started}, background: 1}
      - {when: {/type: system, /subtype: task_notification}, background: -1}
      - {when: {/type: system, /subtype: api_retry}, meaning: trouble, message: /error, http_status: /error_status, show: "API retry {/attempt} of {/max_retries}: {/error}"}
      - messages of Claude Code

- name: codex
  title: Codex
  compared: 0.171.0
  command: codex exec --json --sandbox workspace-write --cd {worktree} {resume} -
  acp: codex-acp
  acp_mode: read-only
  stdin: "{command}"
  resume: resume {session}
  sign_in:
    variables: [CODEX_API_KEY, CODEX_ACCESS_TOKEN]
    folder_variable: CODEX_HOME
    folder: .codex
    files: [auth.json, config.toml model_provider, config.toml cli_auth_credentials_store]
    command: codex login
    certain: true
  notes: |
    Its sandbox allows writing only in the worktree, not in the repository's git directory: the
    commits are made by autoexec. It does not fail if the sandbox denies an access: specify the
    results by --expect.
  outcome:
    name: codex
    program: Codex
    options: --json
    allow: Allow it by --sandbox or --add-dir in the agent's command.
    events:
      - {when: {/type: turn.started}, meaning: work}
      - {when: {/type: turn.failed}, meaning: failure, message: /error/message}
      - when: {/type: turn.completed}
        meaning: success
        usage:
          input: /usage/input_tokens
          output: /usage/output_tokens
          cache_read: /usage/cached_input_tokens
          reasoning: /usage/reasoning_output_tokens
          input_has_cache: true
          output_has_reasoning: true
          total: cumulative
      - {when: {/type: error}, meaning: trouble, message: /message, show: "{/message}"}
      - {when: {/type: thread.started}, session: /thread_id}
      - {when: {/type: item.completed, /item/status: declined}, denied: "'{/item/command}'"}
      - {when: {/type: item.completed, /item/status: failed, /item/aggregated_output: {check: sandbox_denial}}, denied: "'{/item/command}'"}
      - {when: {/type: item.started, /item/type: command_execution}, show: "Run: {/item/command}"}
      - {when: {/type: item.completed, /item/type: command_execution}, show: "Run: {/item/command} → {/item/exit_code}"}
      - {when: {/type: item.completed, /item/type: agent_message}, show: "{/item/text}"}
      - {when: {/type: item.completed, /item/type: file_change}, show: "{/item/changes/0/kind}: {/item/changes/0/path}"}
      # Of versions before 0.171.
      - {when: {/type: request_user_input}, meaning: question}
      - {when: {/type: elicitation_request}, meaning: question}
      - {when: {/type: exec_approval_request}, meaning: permission}
      - {when: {/type: apply_patch_approval_request}, meaning: permission}
      - {when: {/type: request_permissions}, meaning: permission}
      - {when: {/msg/type: request_user_input}, meaning: question}
      - {when: {/msg/type: elicitation_request}, meaning: question}
      - {when: {/msg/type: exec_approval_request}, meaning: permission}
      - {when: {/msg/type: apply_patch_approval_request}, meaning: permission}
      - {when: {/msg/type: request_permissions}, meaning: permission}

- name: gemini
  title: Gemini
  compared: 0.61.0
  command: gemini -o stream-json --approval-mode yolo --skip-trust {resume}
  acp: gemini --acp
  acp_mode: default
  stdin: "{command}"
  resume: --resume {session}
  new_session: --session-id {attempt_id}
  sign_in:
    variables: [GEMINI_API_KEY, GOOGLE_API_KEY, GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_GENAI_USE_GCA, GOOGLE_APPLICATION_CREDENTIALS]
    folder_variable: GEMINI_CLI_HOME
    folder: .gemini
    files: [oauth_creds.json, gemini-credentials.json, .env, ../.env GEMINI_API_KEY]
    certain: true
  notes: |
    Personal accounts no longer work with it; API keys and enterprise accounts do.
  outcome:
    name: gemini
    program: Gemini
    options: -o stream-json
    allow: Allow it by --approval-mode or --policy in the agent's command.
    # Otherwise the exit code is the HTTP status modulo 256.
    exit_codes: {41: auth, 53: max_turns}
    events:
      - {when: {/type: error, /message: {begins_with: Loop detected}}, meaning: failure, error_code: max_turns, message: /message, keep: true}
      - {when: {/type: result, /status: success}, meaning: success}
      - {when: {/type: result, /status: {present: true}}, meaning: failure, message: /error/message}
      - {when: {/type: tool_result, /error/type: policy_violation}, denied: "{shown}"}
      - when: {/type: result}
        usage:
          input: /stats/input_tokens
          output: /stats/output_tokens
          cache_read: /stats/cached
          input_has_cache: true
      - {when: {/type: error}, meaning: trouble, message: /message, show: "{/message}"}
      - {when: {/type: init}, session: /session_id, model: /model}
      - {when: {/type: tool_use}, meaning: work, show: "{/tool_name}: {/parameters/file_path}"}
      - {when: {/type: tool_use, /parameters/command: {present: true}}, show: "{/tool_name}: {/parameters/command}"}
      - {when: {/type: message, /role: assistant}, meaning: work, show: "{/content}"}

- name: opencode
  title: opencode
  compared: 1.18.33
  # What it tries again, and why, is only in its log.
  command: opencode run --format json --auto --print-logs --log-level ERROR {resume}
  acp: opencode acp
  stdin: "{command}"
  resume: --session {session}
  sign_in:
    variables: [OPENCODE_AUTH_CONTENT]
    folder_variable: XDG_DATA_HOME
    folder: .local/share
    files: [opencode/auth.json]
    command: opencode auth login
  notes: |
    With --auto it may write outside the worktree, too.
  outcome:
    name: opencode
    program: opencode
    options: --format json
    allow: Allow it in opencode's permission settings.
    events:
      - {when: {/type: error, /error/name: ContextOverflowError}, meaning: failure, error_code: context, message: [/error/data/message, /error/name], session: /sessionID}
      - {when: {/type: error, /error/name: ContentFilterError}, meaning: failure, error_code: refused, message: [/error/data/message, /error/name], session: /sessionID}
      - {when: {/type: error}, meaning: failure, message: [/error/data/message, /error/name], http_status: /error/data/statusCode, session: /sessionID}
      - {when: {/type: step_finish, /part/reason: stop}, meaning: success}
      - {when: {/type: step_finish, /part/reason: length}, meaning: failure, error_code: agent_error, message: its answer reached the limit of tokens}
      - {when: {/type: step_finish, /part/reason: content-filter}, meaning: failure, error_code: refused, message: the content filter stopped its answer}
      - {when: {/type: tool_use, /part/state/status: error, /part/state/error: {begins_with: The user has specified a rule}}, denied: "{/part/tool}: {/part/state/input/command}"}
      - {when: {/type: step_start}, meaning: work, session: /sessionID}
      - when: {/type: step_finish}
        usage:
          input: /part/tokens/input
          output: /part/tokens/output
          reasoning: /part/tokens/reasoning
          cache_read: /part/tokens/cache/read
          cache_write: /part/tokens/cache/write
          cost_usd: /part/cost
          total: sum
      - {when: {/type: text}, show: "{/part/text}"}
      - {when: {/type: tool_use}, show: "{/part/tool}: {/part/state/title}"}

- name: qwen
  title: Qwen Code
  compared: 0.24.4
  command: qwen -o stream-json --approval-mode yolo {resume}
  acp: qwen --acp
  acp_mode: default
  stdin: "{command}"
  resume: --resume {session}
  sign_in:
    variables: [OPENAI_API_KEY, DASHSCOPE_API_KEY, BAILIAN_CODING_PLAN_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY]
    folder: .qwen
    files: [oauth_creds.json, .env, settings.json /security/auth/apiKey, settings.json /env, settings.json /modelProviders, ../.env API_KEY]
    certain: true
  notes: |
    It reports errors of the model's provider as a success; autoexec finds them in its words.
  outcome:
    name: qwen
    program: Qwen
    options: -o stream-json
    allow: Allow it by --approval-mode in the agent's command.
    exit_codes: {53: max_turns}
    events:
      - {when: {/type: result, /is_error: true}, meaning: failure, message: [/error/message, /result, /subtype]}
      - {when: {/type: result, /result: {check: api_error}}, meaning: failure, message: /result}
      - {when: {/type: result, /is_error: false, /permission_denials/0: {present: true}}, denied: "{/permission_denials/0/tool_name}: {/permission_denials/0/tool_input/command}"}
      - {when: {/type: result, /is_error: false}, meaning: success}
      - when: {/type: result}
        session: /session_id
        usage:
          input: /usage/input_tokens
          output: /usage/output_tokens
          cache_read: /usage/cache_read_input_tokens
          input_has_cache: true
      - {when: {/type: system, /subtype: retry}, show: "API retry {/data/attempt} of {/data/maxRetries}"}
      - messages of Claude Code

- name: cursor
  title: Cursor
  compared: unverified
  command: cursor-agent -p --output-format stream-json --force --trust {resume} -- {command}
  acp: cursor-agent acp
  resume: --resume {session}
  sign_in: {variables: [CURSOR_API_KEY], command: cursor-agent login}
  notes: |
    It may not exit when it has finished: give the command a --timeout.
  outcome:
    name: cursor
    program: Cursor
    options: --output-format stream-json
    allow: Allow it by --force in the agent's command.
    events:
      - {when: {/type: result, /is_error: false}, meaning: success}
      - {when: {/type: result, /is_error: true}, meaning: failure, message: /result}
      - when: {/type: result}
        session: /session_id
        usage: {input: /usage/inputTokens, output: /usage/outputTokens, cache_read: /usage/cacheReadTokens, cache_write: /usage/cacheWriteTokens, output_has_reasoning: true}
      - messages of Claude Code

- name: copilot
  title: GitHub Copilot CLI
  compared: unverified
  command: copilot --allow-all-tools --no-ask-user --output-format json --prompt={command}
  acp: copilot --acp
  sign_in: {variables: [COPILOT_GITHUB_TOKEN, GH_TOKEN, GITHUB_TOKEN]}
  notes: |
    Its output is not read: name the results by --expect.

- name: amp
  title: Amp
  compared: unverified
  command: amp --stream-json --dangerously-allow-all --execute={command}
  sign_in: {variables: [AMP_API_KEY], command: amp login}
  notes: |
    Its stream is that of Claude Code; name the results by --expect all the same.
  outcome:
    name: amp
    program: Amp
    options: --stream-json
    allow: Allow it in Amp's settings.
    events:
      - {when: {/type: result, /is_error: false}, meaning: success}
      - {when: {/type: result, /is_error: true}, meaning: failure, message: [/result, /error]}
      - when: {/type: result}
        session: /session_id
        usage: {input: /usage/input_tokens, output: /usage/output_tokens, cache_read: /usage/cache_read_input_tokens, cache_write: /usage/cache_creation_input_tokens, output_has_reasoning: true}
      - messages of Claude Code

- name: cline
  title: Cline
  compared: unverified
  command: cline --json --auto-approve true -c {worktree} -- {command}
  notes: |
    An abort that is no time-out leaves exit code 0; its last event is read instead.
  outcome:
    name: cline
    program: Cline
    options: --json
    allow: Allow it by --auto-approve in the agent's command.
    events:
      - {when: {/type: run_result, /finishReason: completed}, meaning: success}
      - {when: {/type: run_result}, meaning: failure, message: [/text, /finishReason]}
      - when: {/type: run_result}
        model: /model
        usage: {input: /usage/inputTokens, output: /usage/outputTokens, cache_read: /usage/cacheReadTokens, cache_write: /usage/cacheWriteTokens, cost_usd: /usage/totalCost, output_has_reasoning: true}
      - {when: {/type: run_start}, session: /sessionId}

- name: pi
  title: Pi
  compared: unverified
  command: pi --mode json -p
  stdin: "{command}"
  notes: |
    Its output is read for usage only; the exit code decides.

- name: aider
  title: aider
  compared: unverified
  command: aider --yes-always --no-stream --no-pretty --no-check-update --analytics-disable --message={command}
  notes: |
    It exits with code 0 even if the model could not be reached: specify the results by
    --expect, or let a second command run the tests.

- name: shell
  title: Runs commands as shell scripts
  compared: dash 0.5
  command: /bin/sh -c -- {command}
  accept_argv: true
  notes: |
    The command is the script; its exit code is the result.
)yaml";

// Some programs print what Claude Code prints: these are the rules in place of `claude_mark`.
constexpr std::string_view claude_mark = "      - messages of Claude Code\n";
constexpr std::string_view claude_messages =
    R"yaml(      - {when: {/type: system, /subtype: init}, session: /session_id, model: /model}
      - {when: {/type: assistant}, meaning: work}
      - {when: {/type: user}, meaning: work}
      - {when: {/type: assistant, /message/content/0/type: text}, show: "{/message/content/0/text}"}
      - {when: {/type: assistant, /message/content/0/type: tool_use}, show: "{/message/content/0/name}: {/message/content/0/input/description}"}
      - {when: {/type: assistant, /message/content/0/type: tool_use, /message/content/0/input/file_path: {present: true}}, show: "{/message/content/0/name}: {/message/content/0/input/file_path}"}
      - {when: {/type: assistant, /message/content/0/type: tool_use, /message/content/0/input/command: {present: true}}, show: "{/message/content/0/name}: {/message/content/0/input/command}"}
)yaml";

constexpr std::string_view table_name = "known programs";

constexpr std::array<std::string_view, 15> program_fields{
    "name",   "title", "compared",    "command", "acp",         "acp_mode",    "stdin",  "resume",
    "budget", "notes", "new_session", "sign_in", "accept_argv", "environment", "outcome"};
constexpr std::array<std::string_view, 6> sign_in_fields{"variables", "folder_variable", "folder",
                                                         "files",     "command",         "certain"};

SignIn read_sign_in(const yaml::YamlNode& node, yaml::Report& report)
{
    yaml::Fields fields(node, "", report);
    fields.warn_unknown(sign_in_fields);
    SignIn sign_in;
    const auto texts = [&fields](std::string_view key) {
        std::vector<std::string> all;
        if (const auto* const list = fields.find(key))
            for (const auto& item : list->items) all.push_back(item.text);
        return all;
    };
    sign_in.variables = texts("variables");
    sign_in.folder_variable = fields.text("folder_variable").value_or("");
    sign_in.folder = fields.text("folder").value_or("");
    sign_in.files = texts("files");
    sign_in.command = fields.text("command").value_or("");
    sign_in.certain = fields.boolean("certain").value_or(false);
    return sign_in;
}

KnownProgram read_program(const yaml::YamlNode& node, yaml::Report& report)
{
    yaml::Fields fields(node, "", report);
    fields.warn_unknown(program_fields);
    KnownProgram program;
    program.name = fields.text("name").value_or("");
    program.title = fields.text("title").value_or("");
    program.compared = fields.text("compared").value_or("unverified");
    program.command = fields.text("command").value_or("");
    program.acp = fields.text("acp").value_or("");
    program.acp_mode = fields.text("acp_mode").value_or("");
    program.input = fields.text("stdin").value_or("");
    program.resume = fields.text("resume").value_or("");
    program.new_session = fields.text("new_session").value_or("");
    program.budget = fields.text("budget").value_or("");
    program.accept_argv = fields.boolean("accept_argv").value_or(false);
    program.notes = fields.text("notes").value_or("");
    if (const auto* const variables = fields.find("environment"))
        for (const auto& entry : variables->entries)
            program.environment.emplace_back(entry.key, entry.value.text);
    if (const auto* const sign_in = fields.find("sign_in"))
        program.sign_in = read_sign_in(*sign_in, report);
    if (const auto* const outcome = fields.find("outcome"))
        program.outcome = read_output_rules(*outcome, program.name + ": ", report);
    return program;
}

std::vector<KnownProgram> read_table()
{
    const auto text = boost::algorithm::replace_all_copy(
        std::string(table), std::string(claude_mark), std::string(claude_messages));
    yaml::Report report{std::string(table_name), text};
    std::vector<KnownProgram> programs;
    if (const auto root = yaml::parse_yaml(text, report))
        for (const auto& item : root->items) programs.push_back(read_program(item, report));
    auto problems = report.take_errors();
    if (problems.empty()) problems = report.take_warnings();
    if (!problems.empty()) throw std::logic_error(to_string(problems.front()));
    return programs;
}

}  // namespace

std::span<const KnownProgram> known_programs()
{
    static const auto programs = read_table();
    return programs;
}

const KnownProgram* find_program(std::string_view name)
{
    const auto all = known_programs();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
    return found == all.end() ? nullptr : &*found;
}

const OutputRules* find_output_rules(std::string_view name)
{
    static const OutputRules exit_code;
    if (name == exit_code.name) return &exit_code;
    const auto* const program = find_program(name);
    return program == nullptr || program->outcome.events.empty() ? nullptr : &program->outcome;
}

std::span<const std::string_view> output_rule_names()
{
    static const auto names = [] {
        std::vector<std::string_view> all{"exit_code"};
        for (const auto& program : known_programs())
            if (!program.outcome.events.empty()) all.push_back(program.outcome.name);
        return all;
    }();
    return names;
}

}  // namespace autoexec::programs
