#pragma once

#include "acp/client.hpp"
#include "async/short_names.hpp"
#include "autoexec/spawner.hpp"

namespace autoexec::agent {

/// Connects a client of the Agent Client Protocol to its program, and keeps its time limits. Both
/// must outlive it.
class AcpDriver {
public:
    AcpDriver(acp::Client& client, Process& process, time_point now)
        : client_(client), process_(process), phase_(client.phase()), since_(now)
    {
        flush();
    }

    /// Writes what the client has to say; at the end of its turn, closes the program's input, so
    /// that it ends.
    void flush();

    /// Ends a phase that lasts too long. To be called several times a second.
    void check(time_point now);

    /// Asks the program to end its turn. True: it has, and can be stopped.
    [[nodiscard]] bool end_turn();

private:
    acp::Client& client_;
    Process& process_;
    acp::Phase phase_;
    time_point since_;
};

}  // namespace autoexec::agent
