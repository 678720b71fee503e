"""Work for a farm: functions that any worker can find by their names, and what becomes of it.

| Module | Holds |
| --- | --- |
| words | counts words of files, adds the counts up, and counts them all directly, to compare |
| thumbnails | small pictures of large ones, and a sheet of them; needs Pillow |
| tasks | the two jobs above, and how it is found out whether what came out is right |
| drawn | pictures for whoever has none at hand; needs Pillow |
| demo, screen | `actormq demo farm`: either job on a few nodes, one of which is killed |

A job is a function of one argument: `actormq farm run apps.farm.words:count FILE…`.
"""
