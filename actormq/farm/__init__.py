"""Work for the whole mesh: what spreads tasks, does them, and loses none.

store       a durable batch: tasks that were accepted, and what became of them
salvage     what a damaged file still holds, and a sound file made of it
records     a task and an outcome as bytes that show whether they were altered
tables      the SQLite file: its tables, a connection, what its errors mean
files       how one file takes the place of another, and a copy that can be read
claim       one process at a time, and what it last knew to be on disk
ballast     room on the disk that is given up when there is no other
"""
