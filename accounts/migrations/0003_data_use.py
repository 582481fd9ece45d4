"""How many bytes somebody's devices have exchanged with us; whether they save data, known at the door."""

from django.db import migrations, models

COLUMNS = """user_id uuid, email text, full_name text, is_active boolean, is_staff boolean,
    is_superuser boolean, must_change_password boolean, revoked_before timestamptz,
    fingerprint text"""

ACCOUNT = """
SET LOCAL ROLE carehelp_gate;
DROP FUNCTION app.account(uuid);
CREATE FUNCTION app.account(wanted uuid)
RETURNS TABLE ({columns})
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    SELECT u.id, u.email, u.full_name, c.is_active, c.is_staff, c.is_superuser,
        c.must_change_password, c.revoked_before,
        app.fingerprint(c.password, c.revoked_before){more}
    FROM users AS u JOIN credentials AS c ON c.user_id = u.id
    WHERE u.id = wanted
$$;
REVOKE ALL ON FUNCTION app.account(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.account(uuid) TO carehelp_app, carehelp_desk;
RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_gate")]
    operations = [
        migrations.AddField(
            "user", "bytes_used", models.BigIntegerField(default=0, db_default=0)
        ),
        migrations.RunSQL(
            ACCOUNT.format(columns=f"{COLUMNS}, save_data boolean", more=", u.save_data"),
            ACCOUNT.format(columns=COLUMNS, more=""),
        ),
    ]
