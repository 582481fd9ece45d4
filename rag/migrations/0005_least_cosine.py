from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('rag', '0004_uploaded_by'),
    ]

    operations = [
        migrations.AddField(
            model_name='embeddingmodel',
            name='least_cosine',
            field=models.FloatField(default=0.75),
        ),
    ]
