#include "acp/client.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace autoexec;

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

acp::Task task_of(unsigned choices)
{
    acp::Task task{"Fuzz", "Do it.", {"/tree", "/tree"}, {}};
    task.permissions = {{"edit", "secret/**", "", Permission::deny},
                        {"", "**", "make", Permission::allow},
                        {"", "src/**", "", Permission::ask},
                        {"edit", "", "", Permission::allow}};
    if (choices % 2 != 0) task.mode = "default";
    if (choices / 2 % 2 != 0) task.model = "large";
    if (choices / 4 % 2 != 0) task.session = task.next_prompt = "old";
    return task;
}

// What the client writes is lines of JSON, however the program's output is cut, and not much more
// than what it reads.
std::string outcome_of(std::string_view text, std::size_t chunk, unsigned choices)
{
    acp::Client client(task_of(choices));
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    const std::size_t limit = 4096 + 256 * lines + 8 * text.size();
    must(client.say("Then this."));
    std::string sent = client.take_input();
    for (; !text.empty(); text.remove_prefix(std::min(chunk, text.size()))) {
        client.feed(OutputStream::standard_output, text.substr(0, chunk));
        sent += client.take_input();
    }
    if (const auto* const asked = client.question())
        client.answer_question({asked->id, acp::allow_option, {}});
    if (choices / 8 % 2 != 0) client.cancel();
    if (client.limit()) client.expire();
    sent += client.take_input();
    must(sent.size() <= limit && sent.ends_with('\n'));
    must(client.shown().size() < 1000 && client.denied().size() < 1000);
    must(client.percentage() >= 0 && client.percentage() <= 100);
    for (std::string_view rest = sent; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
        boost::system::error_code ec;
        must(boost::json::parse(rest.substr(0, rest.find('\n')), ec).is_object() && !ec);
    }
    ProcessExit exit;
    exit.exit_code = 0;
    const auto verdict = client.verdict(exit);
    must(verdict && verdict->completed == verdict->code.empty());
    return sent + verdict->code + verdict->message;
}

}  // namespace

/// No output of a program crashes the client, and how it was cut into chunks changes nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    must(outcome_of(text, size, data[0]) == outcome_of(text, 1 + data[0] / 16U, data[0]));
    return 0;
}
