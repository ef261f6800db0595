// Runs commands for HTTP clients, with the engine in the server's event loop.
//
//     example_6_http_server [PORT [PROJECT]]
//
//     POST   /commands      {"command": "make", "worktree": "tree"}    start a command
//     GET    /commands/1                                               its state
//     DELETE /commands/1                                               cancel it
//
// It listens on the loopback address only, because any program that can reach it can run commands
// with the rights of its user. So can every account of this machine: where others are not trusted,
// add authentication, or listen on a Unix socket in a folder of the user.
#include "http_server.hpp"

#include <autoexec/session.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json.hpp>

#include <charconv>
#include <csignal>
#include <deque>
#include <exception>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

namespace asio = boost::asio;
namespace fs = std::filesystem;
namespace http = boost::beast::http;
namespace json = boost::json;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

namespace {

constexpr std::size_t max_unfinished = 10'000;
constexpr std::size_t max_finished = 1000;  // the oldest results are forgotten

Response fail(const Request& request, http::status status, std::string_view message)
{
    return HttpServer::respond(request, status, json::serialize(json::object{{"error", message}}));
}

unsigned short parse_port(std::string_view text)
{
    unsigned short port = 0;  // from_chars refuses what does not fit
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc() || end != text.data() + text.size())
        throw std::invalid_argument("PORT is a number up to 65535");
    return port;
}

std::string text_at(const json::value& body, std::string_view key)
{
    const auto* const value = body.is_object() ? body.get_object().if_contains(key) : nullptr;
    return value != nullptr && value->is_string() ? json::value_to<std::string>(*value) : "";
}

}  // namespace

/// The commands that clients have started. Destroyed before the context.
class Commands {
public:
    Commands(autoexec::Session& session, fs::path project)
        : session_(session), project_(std::move(project))
    {}

    /// The names that a browser may use for this server: a page from elsewhere has another one.
    void allow_hosts(unsigned short port)
    {
        for (const std::string name : {"127.0.0.1", "localhost"})
            hosts_.push_back(name + ':' + std::to_string(port));
    }

    Response answer(const Request& request)
    {
        const bool is_known = std::ranges::find(hosts_, request[http::field::host]) != hosts_.end();
        if (!is_known) return fail(request, http::status::forbidden, "the Host is not this server");
        const std::string_view target(request.target().data(), request.target().size());
        if (target == "/commands")
            return request.method() == http::verb::post
                       ? start(request)
                       : fail(request, http::status::method_not_allowed, "use POST");
        constexpr std::string_view prefix = "/commands/";
        std::uint64_t id = 0;
        const auto number = target.starts_with(prefix) ? target.substr(prefix.size()) : "";
        const auto parsed = std::from_chars(number.data(), number.data() + number.size(), id);
        const auto found = commands_.find(id);
        if (number.empty() || parsed.ptr != number.data() + number.size() ||
            found == commands_.end())
            return fail(request, http::status::not_found, "there is no such command");
        if (request.method() == http::verb::delete_)
            found->second.cancel.emit(asio::cancellation_type::partial);
        else if (request.method() != http::verb::get)
            return fail(request, http::status::method_not_allowed, "use GET or DELETE");
        return show(request, http::status::ok, *found);
    }

private:
    struct Command {
        asio::cancellation_signal cancel;
        std::optional<autoexec::ExecutionResult> result;
    };
    using Entry = std::pair<const std::uint64_t, Command>;

    Response start(const Request& request)
    {
        // A page in a browser cannot send this type without the consent of the server.
        if (request[http::field::content_type] != "application/json")
            return fail(request, http::status::unsupported_media_type, "send application/json");
        boost::system::error_code ec;
        const auto body = json::parse(request.body(), ec);
        const auto command = text_at(body, "command");
        const fs::path worktree = text_at(body, "worktree");
        if (ec || command.empty() || worktree.empty())
            return fail(request, http::status::bad_request,
                        "send an object with 'command' and 'worktree'");
        // The names of `.git` and of the folder of the records begin with a dot.
        if (worktree.filename() != worktree || worktree.native().starts_with('.'))
            return fail(request, http::status::bad_request,
                        "the worktree is the name of a folder of the project");
        if (commands_.size() - finished_.size() >= max_unfinished)
            return fail(request, http::status::service_unavailable, "too many commands");

        auto& entry = *commands_.try_emplace(++last_id_).first;
        session_.async_run(
            autoexec::CommandRequest(command, project_ / worktree),
            asio::bind_cancellation_slot(
                entry.second.cancel.slot(),
                [this, id = entry.first](autoexec::error_code, autoexec::ExecutionResult result) {
                    finish(id, std::move(result));
                }));
        return show(request, http::status::accepted, entry);
    }

    void finish(std::uint64_t id, autoexec::ExecutionResult result)
    {
        commands_.at(id).result = std::move(result);
        finished_.push_back(id);
        if (finished_.size() <= max_finished) return;
        commands_.erase(finished_.front());
        finished_.pop_front();
    }

    static Response show(const Request& request, http::status status, const Entry& entry)
    {
        const auto& [id, command] = entry;
        json::object state{{"id", id}, {"finished", command.result.has_value()}};
        if (command.result) state["result"] = to_json(*command.result);
        return HttpServer::respond(request, status, json::serialize(state));
    }

    autoexec::Session& session_;
    fs::path project_;
    std::vector<std::string> hosts_;
    std::map<std::uint64_t, Command> commands_;
    std::deque<std::uint64_t> finished_;
    std::uint64_t last_id_ = 0;
};

int main(int argc, char** argv)
try {
    const unsigned short port = argc > 1 ? parse_port(argv[1]) : 0;
    asio::io_context ctx(1);  // one thread, also for the engine

    autoexec::SessionOptions options;
    options.executor.project_root = fs::absolute(argc > 2 ? argv[2] : ".");
    options.executor.max_parallel = 4;  // more wait in order
    autoexec::Session session(ctx, options);
    Commands commands(session, options.executor.project_root);
    HttpServer server(ctx, port, [&](const Request& request) { return commands.answer(request); });
    commands.allow_hosts(server.port());

    asio::signal_set signals(ctx, SIGINT, SIGTERM);
    signals.async_wait([&](autoexec::error_code, int) {
        signals.clear();  // the next one ends the program at once; its commands end with it
        server.stop();
        session.async_stop([](autoexec::error_code) { std::cout << "stopped\n"; });
    });
    std::cout << "http://127.0.0.1:" << server.port() << std::endl;
    ctx.run();
} catch (const std::exception& failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
