#include "acp/client.hpp"

#include "programs/error_class.hpp"
#include "programs/json_values.hpp"
#include "protocol/question_format.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::acp {
namespace {

namespace json = boost::json;
using programs::number_at;
using programs::ProgramVerdict;
using programs::text_at;
using programs::value_at;

constexpr int protocol_version = 1;
constexpr int authentication_required = -32000;
constexpr int method_not_found = -32601;

constexpr std::size_t max_shown = 300;
constexpr std::size_t max_text = 4096;
constexpr std::size_t max_tools = 64;
constexpr std::size_t max_denied = 300;
constexpr std::size_t max_held = 16;
constexpr std::size_t max_words = 16 * 1024;  // of an error: they are searched by patterns
constexpr auto max_tokens = std::int64_t{1} << 53;

// Without it, codex-acp reports a failed turn as text and `end_turn`.
json::object capabilities()
{
    return {{"_meta",
             {{"jetbrains",
               {{"air", {{"version", 1}, {"capabilities", json::array{"sessionFailure"}}}}}}}}};
}

std::string first_line(std::string_view text)
{
    text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
    return std::string(text.substr(0, std::min(text.find('\n'), max_shown)));
}

std::string last_line(std::string_view text)
{
    text = text.substr(0, text.find_last_not_of(" \n") + 1);
    return first_line(text.substr(text.rfind('\n') + 1));
}

std::string name_of(const ToolCall& call)
{
    return first_line(!call.title.empty() ? call.title : call.kind);
}

// Where extensions report a failure of the turn.
const json::value* failure_in(const json::value& message)
{
    return value_at(message, "/_meta/jetbrains/air/sessionFailure");
}

// Programs differ: the cause may be in the data, or within JSON.
std::string words_of_error(const json::value& error)
{
    auto words = programs::sentence_of(text_at(error, "/message"));
    for (const auto* pointer : {"/data", "/data/details", "/data/message"})
        if (const auto more = programs::sentence_of(text_at(error, pointer)); !more.empty())
            words += (words.empty() ? "" : ": ") + more;
    return words.substr(0, max_words);
}

std::optional<std::int64_t> tokens_at(const json::value& message,
                                      std::initializer_list<const char*> pointers)
{
    for (const auto* pointer : pointers)
        if (const auto number = number_at(message, pointer))
            return static_cast<std::int64_t>(*number);
    return std::nullopt;
}

// The protocol leaves open what the numbers include; their total tells it.
void split_tokens(Usage& usage, std::int64_t total)
{
    const auto cached = usage.cache_read_tokens.value_or(0) + usage.cache_write_tokens.value_or(0);
    const auto reasoning = usage.reasoning_tokens.value_or(0);
    auto rest = total - usage.input_tokens.value_or(0) - usage.output_tokens.value_or(0);
    if (rest < cached && usage.input_tokens)
        *usage.input_tokens = std::max<std::int64_t>(0, *usage.input_tokens - cached);
    else
        rest -= cached;
    if (reasoning > 0 && rest >= reasoning && usage.output_tokens)
        *usage.output_tokens += reasoning;
}

}  // namespace

Client::Client(Task task) : task_(std::move(task))
{
    shown_ = "Connecting";
    request("initialize",
            {{"protocolVersion", protocol_version},
             {"clientCapabilities", capabilities()},
             {"clientInfo", {{"name", "autoexec"}, {"title", "autoexec"}, {"version", "1"}}}});
}

void Client::feed(OutputStream stream, std::string_view chunk)
{
    if (stream == OutputStream::standard_output) feed_lines(chunk);
}

std::string Client::take_input()
{
    return std::exchange(input_, {});
}

std::optional<std::chrono::seconds> Client::limit() const
{
    switch (phase_) {
        case Phase::initializing:
            return std::chrono::seconds(60);
        case Phase::opening:  // Claude needed 46 s
        case Phase::configuring:
            return std::chrono::seconds(90);
        case Phase::cancelling:
            return std::chrono::seconds(10);
        case Phase::prompting:
        case Phase::ended:
            return std::nullopt;
    }
    return std::nullopt;
}

void Client::expire()
{
    const auto seconds = limit().value_or(std::chrono::seconds(0)).count();
    if (phase_ == Phase::cancelling)
        fail("agent_error", fmt::format("it did not end its turn within {} s", seconds));
    else
        end({false,
             "no_result",
             fmt::format("{} did not answer '{}' of the Agent Client Protocol within {} s. Check "
                         "that its command starts a server of this protocol.",
                         task_.program, last_method_, seconds),
             {}});
}

bool Client::accepts_prompts() const noexcept
{
    return phase_ != Phase::cancelling && phase_ != Phase::ended &&
           prompts_.size() < protocol::max_prompts;
}

bool Client::say(std::string prompt)
{
    if (!accepts_prompts()) return false;
    prompts_.push_back(std::move(prompt));
    return true;
}

void Client::cancel()
{
    if (phase_ == Phase::ended || phase_ == Phase::cancelling) return;
    if (phase_ != Phase::prompting) return fail("agent_error", "it was stopped before its turn");
    phase_ = Phase::cancelling;
    drop_held();
    send({{"method", "session/cancel"}, {"params", {{"sessionId", session_}}}});
}

void Client::read_message(const json::value& message)
{
    if (phase_ == Phase::ended) return;
    const auto method = text_at(message, "/method");
    const auto* const id = value_at(message, "/id");
    if (!method.empty() && id != nullptr) return answer(message);
    if (method == "session/update") {
        if (const auto* const update = value_at(message, "/params/update")) read_update(*update);
    } else if (method.empty() && id != nullptr && id->is_int64()) {
        read_response(id->get_int64(), message);
    }
}

void Client::read_response(std::int64_t id, const json::value& message)
{
    if (id != last_id_) return;
    if (const auto* const error = value_at(message, "/error")) return read_error(*error);
    const auto* const result = value_at(message, "/result");
    if (result == nullptr) return;
    switch (phase_) {
        case Phase::initializing:
            return open_session(*result);
        case Phase::opening:
            return enter_session(*result);
        case Phase::configuring:
            return configure();
        case Phase::prompting:
        case Phase::cancelling:
            return end_turn(*result);
        case Phase::ended:
            return;
    }
}

void Client::open_session(const json::value& result)
{
    if (const auto version = number_at(result, "/protocolVersion").value_or(0);
        version != protocol_version)
        return fail("agent_error",
                    fmt::format("it speaks version {} of the Agent Client Protocol, not {}",
                                version, protocol_version));
    phase_ = Phase::opening;
    shown_ = "Opening a session";
    const char* method = nullptr;
    if (const auto* const resume =
            value_at(result, "/agentCapabilities/sessionCapabilities/resume");
        resume != nullptr && resume->is_object())
        method = "session/resume";
    else if (const auto* const load = value_at(result, "/agentCapabilities/loadSession");
             load != nullptr && *load == true)
        method = "session/load";  // with its messages so far
    continues_ = !task_.session.empty() && method != nullptr;
    if (!continues_) return open_new_session();
    request(method, {{"sessionId", task_.session},
                     {"cwd", task_.folders.working.string()},
                     {"mcpServers", json::array{}}});
}

void Client::open_new_session()
{
    continues_ = false;
    request("session/new",
            {{"cwd", task_.folders.working.string()}, {"mcpServers", json::array{}}});
}

void Client::enter_session(const json::value& result)
{
    session_ = continues_ ? task_.session : text_at(result, "/sessionId");
    usage_.model = text_at(result, "/models/currentModelId");
    phase_ = Phase::configuring;
    // Modes may depend on the model: that is changed first.
    if (plan_change(result, Setting::mode, task_.mode) &&
        plan_change(result, Setting::model, task_.model))
        configure();
}

bool Client::plan_change(const json::value& session, Setting setting, const std::string& wanted)
{
    if (wanted.empty()) return true;
    Change change;
    std::string offered;
    if (find_change(session, setting, wanted, change, offered)) {
        if (!change.method.empty()) changes_.push_back(std::move(change));
        if (setting == Setting::model) usage_.model = wanted;
        return true;
    }
    const auto* const key = setting == Setting::mode ? "mode" : "model";
    end({false,
         setting == Setting::mode ? "agent_error" : "model_not_found",
         fmt::format("{} offers no {} '{}'{}{}. Correct '{}' of the agent in the agents file.",
                     task_.program, key, wanted, offered.empty() ? "" : ", but ", offered, key),
         {}});
    return false;
}

void Client::configure()
{
    if (changes_.empty()) return send_prompt(continues_ ? task_.next_prompt : task_.prompt);
    auto change = std::move(changes_.back());
    changes_.pop_back();
    change.params["sessionId"] = session_;
    request(change.method, std::move(change.params));
}

void Client::send_prompt(std::string_view prompt)
{
    phase_ = Phase::prompting;
    request("session/prompt",
            {{"sessionId", session_},
             {"prompt",
              json::array{json::object{{"type", "text"}, {"text", text::valid_utf8(prompt)}}}}});
}

void Client::read_error(const json::value& error)
{
    const auto* const number = value_at(error, "/code");
    const auto code = number != nullptr && number->is_int64() ? number->get_int64() : 0;
    // It may have been removed, or belong to another program.
    if (phase_ == Phase::opening && continues_ && code != authentication_required)
        return open_new_session();
    const auto words = words_of_error(error);
    std::string name(code == authentication_required ? "auth" : programs::code_of_words(words));
    if (name.empty() && code >= 100 && code < 600)
        name = programs::code_of_http_status(static_cast<int>(code));
    fail(name, words);
}

void Client::answer(const json::value& request)
{
    const auto& id = *value_at(request, "/id");
    const auto* const params = value_at(request, "/params");
    if (text_at(request, "/method") == "session/request_permission" && params != nullptr)
        return decide(id, *params);
    send({{"id", id}, {"error", {{"code", method_not_found}, {"message", "Method not found"}}}});
}

void Client::decide(const json::value& id, const json::value& request)
{
    const auto* const tool_call = value_at(request, "/toolCall");
    Held held{
        id, tool_call != nullptr ? remember(*tool_call) : ToolCall{}, options_of(request), {}, {}};
    auto decision = acp::decide(held.call, task_.permissions, task_.folders);
    if (phase_ == Phase::cancelling) decision = {Permission::deny, "its turn is being cancelled"};
    if (decision.permission != Permission::deny && held.options.allow_once.empty())
        decision = {Permission::deny, decision.rule + ", but it has no option for this time only"};
    if (decision.permission == Permission::ask && held_.size() >= max_held)
        decision = {Permission::deny, decision.rule + ", but too many wait"};
    held.rule = std::move(decision.rule);
    if (decision.permission == Permission::ask) return hold(std::move(held));
    conclude(held, decision.permission == Permission::allow);
}

// A request without a suitable option counts as cancelled.
void Client::conclude(const Held& held, bool allow)
{
    if (task_.on_decision) task_.on_decision(held.call, allow, held.rule);
    if (phase_ == Phase::cancelling) return respond(held.id, {});
    const auto what = name_of(held.call);
    shown_ = fmt::format("{}: {}", allow ? "Allowed" : "Denied", what);
    if (!allow && denied_.size() < max_denied)
        denied_ += fmt::format("{}'{}'", denied_.empty() ? "" : ", ", what);
    respond(held.id, allow ? held.options.allow_once : held.options.reject_once);
}

void Client::respond(const json::value& id, const std::string& option)
{
    json::object outcome{{"outcome", "cancelled"}};
    if (!option.empty()) outcome = {{"outcome", "selected"}, {"optionId", option}};
    send({{"id", id}, {"result", {{"outcome", std::move(outcome)}}}});
}

void Client::hold(Held held)
{
    held.question = question_about(held.call);
    held.question.id = fmt::format("{}", ++questions_);
    shown_ = fmt::format("Waits for permission: {}", name_of(held.call));
    held_.push_back(std::move(held));
}

const Question* Client::question() const noexcept
{
    return held_.empty() ? nullptr : &held_.front().question;
}

void Client::answer_question(const Answer& answer)
{
    if (held_.empty() || phase_ != Phase::prompting) return;
    auto held = std::move(held_.front());
    held_.pop_front();
    held.rule += answer.denies() ? ", without an answer" : ", by an answer";
    conclude(held, answer.option == allow_option);
}

// In version 1, a client answers all of them when it cancels.
void Client::drop_held()
{
    for (auto& held : std::exchange(held_, {})) {
        held.rule += ", but its turn is being cancelled";
        conclude(held, false);
    }
}

ToolCall& Client::remember(const json::value& tool_call)
{
    if (tools_.size() >= max_tools) tools_.clear();
    auto& call = tools_[text_at(tool_call, "/toolCallId")];
    call.update(tool_call);
    return call;
}

void Client::read_update(const json::value& update)
{
    const auto kind = text_at(update, "/sessionUpdate");
    if (phase_ == Phase::opening) return;  // what the session was before
    if (const auto* const failure = failure_in(update)) return read_notice(*failure);
    if (kind == "agent_message_chunk") {
        read_text(text_at(update, "/content/text"));
    } else if (kind == "tool_call" || kind == "tool_call_update") {
        used_tools_ = true;
        text_.clear();
        trouble_.reset();
        if (const auto& title = remember(update).title; !title.empty()) shown_ = first_line(title);
        const auto status = text_at(update, "/status");
        if (status == "completed" || status == "failed")
            tools_.erase(text_at(update, "/toolCallId"));
    } else if (kind == "plan") {
        read_plan(update);
    } else if (kind == "usage_update" && text_at(update, "/cost/currency") == "USD") {
        usage_.cost_usd = number_at(update, "/cost/amount");
        usage_.cost_of_session = usage_.cost_usd.has_value();
    }
    // Qwen reports each request to the model here, and nothing at the end.
    if (const auto* const usage = value_at(update, "/_meta/usage")) read_usage(*usage);
}

void Client::read_text(std::string_view text)
{
    if (text.empty()) return;
    trouble_.reset();
    text_.append(text);
    if (text_.size() > 2 * max_text) text_.erase(0, text_.size() - max_text);
    if (auto line = last_line(text_); !line.empty()) shown_ = std::move(line);
}

void Client::read_plan(const json::value& update)
{
    const auto* const entries = value_at(update, "/entries");
    if (entries == nullptr || !entries->is_array() || entries->get_array().empty()) return;
    const auto& all = entries->get_array();
    const auto done = std::count_if(all.begin(), all.end(), [](const auto& entry) {
        return text_at(entry, "/status") == "completed";
    });
    percentage_ = 100.0 * static_cast<double>(done) / static_cast<double>(all.size());
    const auto active = std::find_if(all.begin(), all.end(), [](const auto& entry) {
        return text_at(entry, "/status") == "in_progress";
    });
    if (active != all.end()) shown_ = first_line(text_at(*active, "/content"));
}

// A notice before the end: it tries again.
void Client::read_notice(const json::value& failure)
{
    const auto words = text_at(failure, "/title").substr(0, max_words);
    shown_ = first_line(words);
    if (text_at(failure, "/category") == "unknown") return;
    std::string code(programs::code_of_words(words));
    if (code.empty())
        code = text_at(failure, "/category") == "connection" ? "network" : "agent_error";
    trouble_ = ProgramVerdict{false, std::move(code), words, programs::wait_in_words(words)};
}

void Client::read_usage(const json::value& result)
{
    Usage usage;
    usage.input_tokens = tokens_at(result, {"/inputTokens", "/input_tokens"});
    usage.output_tokens = tokens_at(result, {"/outputTokens", "/output_tokens"});
    usage.cache_read_tokens = tokens_at(result, {"/cachedReadTokens", "/cachedInputTokens"});
    usage.cache_write_tokens = tokens_at(result, {"/cachedWriteTokens", "/cacheWriteInputTokens"});
    usage.reasoning_tokens = tokens_at(result, {"/thoughtTokens", "/reasoningOutputTokens"});
    if (const auto total = tokens_at(result, {"/totalTokens"})) split_tokens(usage, *total);
    const auto add = [](auto& sum, const auto& part) {
        if (part) sum = std::min(sum.value_or(0) + *part, max_tokens);
    };
    add(usage_.input_tokens, usage.input_tokens);
    add(usage_.output_tokens, usage.output_tokens);
    add(usage_.cache_read_tokens, usage.cache_read_tokens);
    add(usage_.cache_write_tokens, usage.cache_write_tokens);
    add(usage_.reasoning_tokens, usage.reasoning_tokens);
}

void Client::end_turn(const json::value& turn)
{
    read_usage_of_turn(turn);
    const auto reason = text_at(turn, "/stopReason");
    auto verdict = verdict_of(turn, reason);
    // A limit or a refusal ends a turn, but a failure of the program ends the command.
    const bool can_continue = phase_ == Phase::prompting && reason != "cancelled" &&
                              (verdict.completed || reason != "end_turn");
    if (prompts_.empty() || !can_continue) return end(std::move(verdict));
    ended_turns_ = usage_;
    text_.clear();
    used_tools_ = false;
    const auto prompt = std::move(prompts_.front());
    prompts_.pop_front();
    send_prompt(prompt);
}

void Client::read_usage_of_turn(const json::value& turn)
{
    const auto* const usage = value_at(turn, "/usage");
    const auto* const quota = value_at(turn, "/_meta/quota/token_count");
    if (const auto* const total = usage != nullptr && !usage->is_null() ? usage : quota) {
        auto own = ended_turns_;
        own.cost_usd = usage_.cost_usd;
        own.cost_of_session = usage_.cost_of_session;
        own.model = usage_.model;
        usage_ = std::move(own);
        read_usage(*total);
    }
    if (auto model = text_at(turn, "/_meta/quota/model_usage/0/model"); !model.empty())
        usage_.model = std::move(model);
}

ProgramVerdict Client::verdict_of(const json::value& turn, std::string_view reason) const
{
    if (const auto* const failed = failure_in(turn);
        failed != nullptr && text_at(*failed, "/severity") != "warning") {
        const auto words = text_at(*failed, "/title").substr(0, max_words);
        std::string code(programs::code_of_words(words));
        if (code.empty() && text_at(*failed, "/category") == "connection") code = "network";
        return failure(std::move(code), words);
    }
    if (reason == "refusal") return failure("refused", "the model refused the request");
    if (reason == "max_tokens")
        return failure("agent_error", "its answer reached the limit of tokens");
    if (reason == "max_turn_requests")
        return failure("max_turns", "it reached its limit of requests");
    if (reason == "cancelled" && phase_ != Phase::cancelling && !denied_.empty())
        return {false, "permission_needed", denied_message(), {}};
    if (phase_ == Phase::cancelling || reason == "cancelled")
        return failure("agent_error", "its turn was cancelled");
    if (reason != "end_turn")
        return failure("agent_error", fmt::format("its turn ended with the reason '{}'", reason));
    // An adapter that does not know the extension says a failure as text.
    const auto* const usage = value_at(turn, "/usage");
    const bool used_nothing = usage != nullptr && usage->is_null();
    if (const auto code = programs::code_of_words(text_);
        used_nothing && !used_tools_ && !code.empty())
        return failure(std::string(code), text_);
    return {true, {}, {}, {}};
}

ProgramVerdict Client::failure(std::string code, std::string_view words) const
{
    if (code.empty()) code = "agent_error";
    return {
        false, std::move(code),
        fmt::format("{} ended with an error{}{}", task_.program, words.empty() ? "" : ": ", words),
        programs::wait_in_words(words)};
}

void Client::fail(std::string code, std::string_view words)
{
    end(failure(std::move(code), words));
}

void Client::end(ProgramVerdict verdict)
{
    phase_ = Phase::ended;
    held_.clear();
    verdict_ = std::move(verdict);
}

void Client::request(std::string_view method, json::object params)
{
    last_method_ = method;
    send({{"id", ++last_id_}, {"method", method}, {"params", std::move(params)}});
}

void Client::send(json::object message)
{
    message["jsonrpc"] = "2.0";
    input_ += json::serialize(message) + "\n";
}

std::string Client::denied_message() const
{
    return fmt::format(
        "{} needed permission for {}, and did not get it. Allow it by "
        "'permissions' of the agent in the agents file.",
        task_.program, denied_.empty() ? "a tool" : denied_);
}

std::optional<ProgramVerdict> Client::verdict(const ProcessExit& exit)
{
    read_line();  // the last one may lack its newline
    if (verdict_) return verdict_;
    if (exit.exit_code != 0) return std::nullopt;
    return ProgramVerdict{
        false,
        "no_result",
        fmt::format("{} exited with code 0 before its turn had ended{}. Check "
                    "that its command starts a server of the Agent Client "
                    "Protocol.",
                    task_.program,
                    skipped_a_line() ? " (a line of more than 16 MiB was not read)" : ""),
        {}};
}

}  // namespace autoexec::acp
