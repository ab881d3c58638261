-- Entity: households. A customer is a household; the shop's e-mail addresses stay in the raw table.
with source as (

    select * from {{ source('online_shop', 'customers') }}

),

renamed as (

    select
        -- ids
        {{ source_key('online_shop', 'id') }} as household_id,

        -- strings
        _dlt_load_id as load_id,

        -- timestamps
        {{ utc_timestamp_of_text('created_at') }} as created_at

    from source

)

select * from renamed
