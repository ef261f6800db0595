#include "autoexec/command.hpp"
#include "autoexec/error.hpp"

#include <boost/json/serialize.hpp>

#include <iostream>

int main()
{
    const autoexec::CommandRequest request("make all", "/srv/tree");
    autoexec::ExecutionResult result;
    result.command = request.command;
    std::cout << boost::json::serialize(autoexec::to_json(result)) << '\n';
    return autoexec::make_error_code(autoexec::errc::stopped).message().empty() ? 1 : 0;
}
