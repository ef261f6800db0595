// Runs a program in the current folder and prints how it ended.
#include <autoexec/session.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>

int main()
{
    boost::asio::io_context ctx;
    autoexec::Session session(ctx);
    session.async_run({{"uname", "-sr"}, "."}, [](autoexec::error_code, const auto& result) {
        std::cout << to_string(result.status) << ": " << result.output;
        if (result.error) std::cout << result.error->message << '\n';
    });
    ctx.run();
}
