#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <utility>

/// What the example of an HTTP server needs of HTTP: connections with limits, on the loopback
/// address only. Everything runs on a context with one thread.
class HttpServer {
public:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;
    using Response = boost::beast::http::response<boost::beast::http::string_body>;
    /// Must not throw.
    using Answer = std::function<Response(const Request&)>;

    static constexpr std::size_t max_connections = 100;  ///< More wait until one is closed.
    static constexpr std::uint32_t max_header_bytes = 8 * 1024;
    static constexpr std::uint64_t max_body_bytes = 64 * 1024;
    static constexpr std::chrono::seconds idle_timeout{30};  ///< Also of a slow request.

    /// Port 0: a free one. Throws `system_error`.
    HttpServer(boost::asio::io_context& ctx, unsigned short port, Answer answer)
        : acceptor_(ctx, {boost::asio::ip::address_v4::loopback(), port}),
          room_(ctx),
          answer_(std::move(answer))
    {
        boost::asio::co_spawn(ctx, accept(), boost::asio::detached);
    }
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    [[nodiscard]] unsigned short port() const { return acceptor_.local_endpoint().port(); }

    /// Closes the connections, after the responses that are being sent.
    void stop()
    {
        stopping_ = true;
        acceptor_.close();
        room_.cancel();
        for (const auto& connection : connections_)
            if (!connection->sending) connection->stream.cancel();
    }

    /// A response to `request` with a JSON text.
    static Response respond(const Request& request, boost::beast::http::status status,
                            std::string json)
    {
        Response response(status, request.version());
        response.set(boost::beast::http::field::content_type, "application/json");
        response.body() = std::move(json) + '\n';
        return response;
    }

private:
    struct Connection {
        explicit Connection(boost::asio::ip::tcp::socket socket) : stream(std::move(socket)) {}
        boost::beast::tcp_stream stream;
        bool sending = false;
    };

    boost::asio::awaitable<void> accept()
    {
        while (!stopping_) {
            auto [ec, socket] = co_await acceptor_.async_accept(token);
            if (stopping_) break;
            if (ec) {  // usually, no descriptors are left
                co_await wait_for_room();
                continue;
            }
            const auto connection = std::make_shared<Connection>(std::move(socket));
            connections_.insert(connection);
            boost::asio::co_spawn(acceptor_.get_executor(), serve(connection),
                                  boost::asio::detached);
            while (!stopping_ && connections_.size() >= max_connections) co_await wait_for_room();
        }
    }

    boost::asio::awaitable<void> wait_for_room()
    {
        room_.expires_after(std::chrono::seconds{1});
        (void)co_await room_.async_wait(token);
    }

    boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection)
    {
        boost::beast::flat_buffer buffer(max_header_bytes + max_body_bytes);
        bool is_open = true;
        while (is_open && !stopping_) is_open = co_await serve_one(*connection, buffer);
        boost::system::error_code ignored;
        connection->stream.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
        connections_.erase(connection);
        room_.cancel();
    }

    /// True if the connection can be used again.
    boost::asio::awaitable<bool> serve_one(Connection& connection,
                                           boost::beast::flat_buffer& buffer)
    {
        namespace http = boost::beast::http;
        http::request_parser<http::string_body> parser;
        parser.header_limit(max_header_bytes);
        parser.body_limit(max_body_bytes);
        auto& stream = connection.stream;
        stream.expires_after(idle_timeout);
        const auto [failure, size] = co_await http::async_read(stream, buffer, parser, token);
        const auto refusal = refusal_of(failure);
        if (failure && refusal == http::status::ok) co_return false;  // closed, or too slow

        const auto& request = parser.get();
        auto response =
            failure ? respond(request, refusal, R"({"error": "this is no acceptable request"})")
                    : answer_(request);
        response.keep_alive(!failure && request.keep_alive() && !stopping_);
        response.prepare_payload();
        connection.sending = true;
        stream.expires_after(idle_timeout);
        const auto [ec, sent] = co_await http::async_write(stream, response, token);
        connection.sending = false;
        co_return !ec && response.keep_alive();
    }

    /// `ok`: the failure is not one of the request.
    static boost::beast::http::status refusal_of(const boost::system::error_code& failure)
    {
        using boost::beast::http::error;
        using boost::beast::http::status;
        if (failure == error::body_limit) return status::payload_too_large;
        if (failure == error::header_limit || failure == error::buffer_overflow)
            return status::request_header_fields_too_large;
        const bool ended = failure == error::end_of_stream || failure == error::partial_message;
        const bool malformed = failure.category() == make_error_code(error::bad_method).category();
        return malformed && !ended ? status::bad_request : status::ok;
    }

    static constexpr auto token = boost::asio::as_tuple(boost::asio::use_awaitable);

    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer room_;  ///< Cancelled when a connection has ended.
    Answer answer_;
    std::set<std::shared_ptr<Connection>> connections_;
    bool stopping_ = false;
};
