#include "handoff/read_status.hpp"

#include "protocol/status.hpp"

#include <utility>

namespace autoexec::handoff {

StatusCheck read_status(Mailbox& mailbox)
{
    StatusCheck check;
    for (const auto& file : mailbox.look()) {
        check.status_file_exists = true;
        check.problem = file.problem;
        if (file.state != FoundFile::State::present) continue;
        auto reading = protocol::parse_status(file.text);
        check.problem = reading.problem;
        if (reading.kind != protocol::StatusReading::Kind::valid) continue;
        check.completed = reading.status.is_final() && !mailbox.live_claim();
        check.status = std::move(reading.status);
        break;
    }
    return check;
}

}  // namespace autoexec::handoff
