#include "agent/AgentApplication.h"

#include <iostream> // what the macro writes to

POCO_SERVER_MAIN(agent::AgentApplication)
