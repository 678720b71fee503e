"""Work for the whole mesh: what spreads tasks, does them, and loses none.

records       a task and an outcome as bytes that show whether they were altered
tables        the SQLite file: its tables, one connection, what its errors mean
claim         one process at a time, and what it last knew to be on disk
ballast       room on the disk that is given up when there is no other
salvage       what a file still holds that is damaged, and a sound file made of it
store         a durable batch: tasks that were accepted, and what became of them
"""
