// Runs a hundred commands through the library, and a TLS handshake beside them.
#include <autoexec/agent.hpp>
#include <autoexec/executor.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#ifdef SPDLOG_COMPILED_LIB
#error "a definition of spdlog reached the application"
#endif

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

constexpr int commands = 100;

class Folder {
public:
    Folder()
    {
        std::string pattern = (fs::temp_directory_path() / "autoexec-consumer-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) std::abort();
        path_ = fs::canonical(pattern);
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const fs::path& path() const noexcept { return path_; }

private:
    fs::path path_;
};

autoexec::AgentOptions agent_options(std::shared_ptr<autoexec::Notifier> notifier)
{
    autoexec::AgentOptions options;
    options.agents = autoexec::shell_agents();
    options.find_worktrees = false;
    options.notifier = std::move(notifier);
#ifdef CONSUMER_SUPERVISOR
    options.spawner = autoexec::supervised_spawner(CONSUMER_SUPERVISOR);
#endif
    return options;
}

/// The peer is gone, so it fails; it must do so on this context, by the application's Asio.
asio::awaitable<bool> handshake_fails()
{
    using Socket = asio::local::stream_protocol::socket;
    Socket ours(co_await asio::this_coro::executor);
    {
        Socket theirs(co_await asio::this_coro::executor);
        asio::local::connect_pair(ours, theirs);
    }
    asio::ssl::context tls(asio::ssl::context::tls_client);
    asio::ssl::stream<Socket> stream(std::move(ours), tls);
    try {
        co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    } catch (const boost::system::system_error&) {
        co_return true;
    }
    co_return false;
}

asio::awaitable<void> run_all(autoexec::BackgroundAgentAutoExecutor& engine,
                              autoexec::BackgroundAgent& agent, fs::path folder, int& completed)
{
    const bool handshake_failed = co_await handshake_fails();
    for (int i = 0; handshake_failed && i < commands; ++i) {
        const auto tree = folder / std::to_string(i);
        fs::create_directory(tree);
        agent.add_worktree(tree);
        const autoexec::CommandRequest request({"touch", "made"}, tree);
        const auto result = co_await engine.execute_command(request);
        if (result.error) std::cerr << result.error->message << '\n';
        if (result.status == autoexec::ExecutionStatus::completed && fs::exists(tree / "made"))
            ++completed;
    }
    co_await engine.stop();
    co_await agent.stop();
}

}  // namespace

int main()
{
    const Folder folder;
    fs::current_path(folder.path());  // where the records go
    asio::io_context ctx;
    autoexec::ExecutorOptions options;
    options.project_root = folder.path();
    options.notifier = autoexec::local_notifier();
    autoexec::BackgroundAgentAutoExecutor engine(ctx.get_executor(), options);
    autoexec::BackgroundAgent agent(ctx.get_executor(), agent_options(options.notifier));
    int completed = 0;
    asio::co_spawn(ctx, agent.run(), asio::detached);
    asio::co_spawn(ctx, run_all(engine, agent, folder.path(), completed), asio::detached);
    ctx.run();
    std::cout << completed << " of " << commands << " commands completed\n";
    return completed == commands ? 0 : 1;
}
