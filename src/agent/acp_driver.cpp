#include "agent/acp_driver.hpp"

#include <utility>

namespace autoexec::agent {

void AcpDriver::flush()
{
    if (auto text = client_.take_input(); !text.empty()) process_.write(std::move(text));
    if (client_.concluded()) process_.close_input();
}

void AcpDriver::check(time_point now)
{
    if (phase_ != client_.phase()) {
        phase_ = client_.phase();
        since_ = now;
    }
    const auto limit = client_.limit();
    if (!limit || now < since_ + *limit) return;
    client_.expire();
    flush();
}

bool AcpDriver::end_turn()
{
    client_.cancel();
    flush();
    return client_.concluded();
}

}  // namespace autoexec::agent
