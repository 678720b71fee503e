%% Erlang's distribution between two nodes, over tcp: tells and asks.
%%
%% A tell is `Pid ! Message` to a process that counts, an ask `gen_server:call` to a server, as OTP's
%% pages have it; the emulator's settings are its defaults. Nodes listen on the loopback only. Ours
%% starts an epmd, if there is none, and the other node as a child, which ends when we do.
-module(far).
-behaviour(gen_server).
-export([main/0, second/0, init/1, handle_call/3, handle_cast/2]).

-define(PAYLOAD, <<"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx">>).
-define(BURST, 50000).  % its mailboxes have no bound, and more ahead is faster
-define(AT_ONCE, 100).
-define(PATIENCE, 10000). % ms for the other node to come
-define(WARMING, 0.2).    % s

main() ->
    [Work | _] = init:get_plain_arguments(),
    register(main, self()),
    Epmds = start_node(10),
    {Counter, Server} = start_second(),
    Round = case Work of
        "far-tell" -> fun(Seconds) -> tells(Counter, Seconds) end;
        "far-ask" -> fun(Seconds) -> asks(Server, Seconds) end;
        "far-asks" -> fun(Seconds) -> asks_at_once(Server, Seconds) end
    end,
    Round(?WARMING),
    io:put_chars("ready\n"),
    rounds(Round),
    rpc:cast(node(Counter), erlang, halt, []),
    stop(Epmds),
    halt().

rounds(Round) ->
    case io:get_line("") of
        "round " ++ Rest ->
            {Value, Count, Seconds, Extra} = Round(number(string:trim(Rest))),
            io:format("{\"value\": ~w, \"count\": ~w, \"seconds\": ~w~s}~n",
                      [Value, Count, Seconds, Extra]),
            rounds(Round);
        eof ->
            ok
    end.

number(Text) ->
    case string:to_float(Text) of
        {error, no_float} -> float(list_to_integer(Text));
        {Float, _} -> Float
    end.

now_s() -> erlang:monotonic_time() / erlang:convert_time_unit(1, second, native).

%% -- two nodes ------------------------------------------------------------------------------------

%% Become a node, and give what was started for that. An epmd that has just begun does not listen
%% yet, and one that was there may end before we are known to it: try again.
start_node(Tries) ->
    application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    logger:set_primary_config(level, critical), % net_kernel would log each try
    Port = open_port({spawn_executable, os:find_executable("epmd")},
                     [{args, ["-address", "127.0.0.1"]}, stderr_to_stdout]),
    {os_pid, Epmd} = erlang:port_info(Port, os_pid),
    timer:sleep(20),
    case net_kernel:start([list_to_atom("bench-" ++ os:getpid() ++ "@127.0.0.1"), longnames]) of
        {ok, _} ->
            erlang:set_cookie(node(), list_to_atom("bench-" ++ os:getpid())),
            [Epmd];
        {error, _} when Tries > 1 ->
            timer:sleep(80),
            [Epmd | start_node(Tries - 1)]
    end.

%% Those that found another one there have ended, which is no error.
stop(Epmds) -> [os:cmd("kill " ++ integer_to_list(Pid) ++ " 2>/dev/null") || Pid <- Epmds].

start_second() ->
    open_port({spawn_executable, os:find_executable("erl")}, [{args, [
        "-noshell", "-start_epmd", "false", "-pa", filename:dirname(code:which(?MODULE)),
        "-name", "second-" ++ atom_to_list(node()), "-setcookie", atom_to_list(erlang:get_cookie()),
        "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
        "-s", atom_to_list(?MODULE), "second", "-extra", atom_to_list(node())]}]),
    receive {second, Counter, Server} -> {Counter, Server}
    after ?PATIENCE -> io:put_chars(standard_error, "the other node did not start\n"), halt(1)
    end.

%% Be the other node, for as long as the first is there.
second() ->
    [First] = init:get_plain_arguments(),
    Node = list_to_atom(First),
    true = net_kernel:connect_node(Node),
    monitor_node(Node, true),
    {ok, Server} = gen_server:start(?MODULE, [], []),
    {main, Node} ! {second, spawn(fun() -> count(0) end), Server},
    receive {nodedown, Node} -> halt() end.

count(Handled) ->
    receive
        {hit, _Payload} -> count(Handled + 1);
        {count, From} -> From ! {counted, Handled}, count(Handled)
    end.

init([]) -> {ok, []}.
handle_call({echo, Payload}, _From, State) -> {reply, Payload, State}.
handle_cast(_, State) -> {noreply, State}.

%% -- rounds ---------------------------------------------------------------------------------------

%% While the receiver works off one burst the next is sent, as in all contestants.
tells(Counter, Seconds) ->
    Counter ! {count, self()},
    Before = counted(),
    Begun = now_s(),
    burst(Counter),
    Handled = bursts(Counter, Begun + Seconds) - Before,
    Took = now_s() - Begun,
    {Handled / Took, Handled, Took, ""}.

bursts(Counter, End) ->
    burst(Counter),
    _ = counted(), % up to the burst before
    case now_s() < End of
        true -> bursts(Counter, End);
        false -> counted()
    end.

burst(Counter) ->
    [Counter ! {hit, ?PAYLOAD} || _ <- lists:seq(1, ?BURST)],
    Counter ! {count, self()}.

counted() -> receive {counted, Handled} -> Handled end.

asks(Server, Seconds) ->
    Begun = now_s(),
    Took = lists:sort(asks_until(Server, Begun + Seconds, [])),
    Count = length(Took),
    {lists:nth(Count div 2 + 1, Took), Count, now_s() - Begun,
     io_lib:format(", \"p99\": ~w", [lists:nth(Count * 99 div 100 + 1, Took)])}.

asks_until(Server, End, Took) ->
    Begun = now_s(),
    case Begun < End of
        true ->
            ?PAYLOAD = gen_server:call(Server, {echo, ?PAYLOAD}),
            asks_until(Server, End, [now_s() - Begun | Took]);
        false ->
            Took
    end.

asks_at_once(Server, Seconds) ->
    Begun = now_s(),
    Self = self(),
    Ask = fun() -> Self ! {asked, asker(Server, Begun + Seconds, 0)} end,
    [spawn_link(Ask) || _ <- lists:seq(1, ?AT_ONCE)],
    Count = lists:sum([receive {asked, Asked} -> Asked end || _ <- lists:seq(1, ?AT_ONCE)]),
    Spent = now_s() - Begun,
    {Count / Spent, Count, Spent, ""}.

asker(Server, End, Count) ->
    ?PAYLOAD = gen_server:call(Server, {echo, ?PAYLOAD}),
    case now_s() < End of
        true -> asker(Server, End, Count + 1);
        false -> Count + 1
    end.
